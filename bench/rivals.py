"""Other ways to find people, that `make bench-matching` compares with: equality, and a classifier of `recordlinkage`.

This module needs the extra `bench`: import it where it is needed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import pandas
import recordlinkage

from bench import febrl

Answer = list[str]
Fields = Sequence[str]
SIMILAR = 0.85  # from which on the documentation of recordlinkage, too, counts two texts as one


def find_equal(originals: pandas.DataFrame, duplicates: pandas.DataFrame, fields: Fields) -> Iterator[Answer]:
    """Yield for each duplicate the originals that have the same in all fields that are not empty, in lower case.

    Args:
        originals: see `bench.febrl`; the index is what answers hold.
        duplicates: the people to search for.
        fields: the columns to search by.
    """
    members, queries = originals[list(fields)].map(str.lower), duplicates[list(fields)].map(str.lower)
    indexes: dict[tuple[str, ...], dict[tuple[str, ...], Answer]] = {}
    for query in queries.to_dict("records"):
        given = tuple(field for field in fields if query[field])
        if given not in indexes:
            indexes[given] = _group(members, given)
        yield indexes[given].get(tuple(query[field] for field in given), []) if given else []


def _group(members: pandas.DataFrame, fields: Fields) -> dict[tuple[str, ...], Answer]:
    found = defaultdict(list)
    for identifier, member in members.to_dict("index").items():
        found[tuple(member[field] for field in fields)].append(identifier)
    return found


def classify(originals: pandas.DataFrame, duplicates: pandas.DataFrame, fields: Fields) -> Iterator[Answer]:
    """Yield for each duplicate the originals that logistic regression takes for the same person, the likeliest first.

    It learns from FEBRL 3, as our weights do, and compares as the documentation of recordlinkage shows: pairs that
    are equal or neighbours in one field, texts by Jaro-Winkler, codes by equality. The arguments are those of
    `find_equal`.
    """
    table, pairs = febrl.records_and_pairs()
    telling = [field for field in fields if field in febrl.COLUMNS]  # the country is the same for all
    known = _compare(telling, table)
    classifier = recordlinkage.LogisticRegressionClassifier()
    classifier.fit(known, known.index.intersection(pairs))
    vectors = _compare(telling, duplicates, originals)
    likely = classifier.prob(vectors)[classifier.predict(vectors)].sort_values(ascending=False, kind="stable")
    answers = defaultdict(list)
    for duplicate, original in likely.index:
        answers[duplicate].append(original)
    yield from (answers[duplicate] for duplicate in duplicates.index)


def _compare(fields: Fields, *tables: pandas.DataFrame) -> pandas.DataFrame:
    """Return the comparison vectors of the pairs within one table, or between two."""
    index, compare = recordlinkage.Index(), recordlinkage.Compare()
    # To recordlinkage an empty text is a value like others, and a missing one is not.
    read = [table[list(fields)].replace("", None) for table in tables]
    for field in fields:
        index.block(field)
        index.sortedneighbourhood(field)
        if field == "postal_code":
            compare.exact(field, field, label=field)
        else:
            compare.string(field, field, method="jarowinkler", threshold=SIMILAR, label=field)
    return compare.compute(index.index(*read), *read)
