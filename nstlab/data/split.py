"""Photos kept apart to judge by, by a rule that knows nothing of what they show but whether people are outlined in them."""

from nstlab.data.pictures import Files
from nstlab.errors import SettingError, check_count

PEOPLE = 4  # one in so many of the photos kept apart shows people, where outlines say so of enough


def kept_apart(pictures: Files, count: int) -> tuple[Files, Files]:
    """(pictures to train on, `count` pictures to judge by) of a set.

    Those with the lowest SHA-256 of their files are kept apart, a quarter of them among the pictures with people outlined. So
    names, order and place of the files do not matter, and nobody chose. Raises SettingError for more than there are.
    """
    count, digests = check_count("validation", count), [pictures.digest(number) for number in range(len(pictures))]
    unique = {digest: number for number, digest in reversed(list(enumerate(digests)))}  # the first of equal files
    ranked = [unique[digest] for digest in sorted(unique)]
    people = [number for number in ranked if pictures.shows_people(number)][: count // PEOPLE]
    others = [number for number in ranked if not pictures.shows_people(number)][: count - len(people)]
    if len(people) + len(others) < count or count >= len(unique):
        raise SettingError(f"validation {count}: of {len(unique)} pictures some must be left to train on; ask for fewer")
    apart = {digests[number] for number in (*people, *others)}
    rest = [number for number, digest in enumerate(digests) if digest not in apart]
    return pictures.take(rest), pictures.take(sorted([*people, *others]))
