"""Token buckets with exact arithmetic: the Generic Cell Rate Algorithm on whole numbers.

A bucket is one number, its *theoretical arrival time* (TAT): when it will be full again. It is kept in ticks of which
a nanosecond has as many as the rate has tokens a period, so that one token is a whole number of ticks and nothing is
ever rounded. In any window W at most burst + rate * W are admitted, and a bucket that was never used is 0.

Source: ITU-T I.371, Annex A (the virtual scheduling algorithm).
"""

from __future__ import annotations

from superd.policy.rules import Rate


class Bucket:
    """The arithmetic of one rate and burst; the TAT itself is kept by whoever asks.

    Args:
        rate: so many a period; its count is 1 or more.
        burst: tokens in a full bucket, 1 or more; 0 means the rate's count.
    """

    __slots__ = ("cost", "count", "tolerance")

    def __init__(self, rate: Rate, burst: int) -> None:
        self.count = rate.count
        self.cost = rate.period_ns  # one token
        self.tolerance = ((burst or rate.count) - 1) * self.cost

    def admits(self, tat: int, now: int) -> bool:
        """Whether a token is there at ``now`` (ns)."""
        return tat - now * self.count <= self.tolerance

    def taken(self, tat: int, now: int) -> int:
        """The TAT after one token was taken at ``now`` (ns)."""
        return max(tat, now * self.count) + self.cost

    def available(self, tat: int, now: int) -> int:
        """Whole tokens that are there at ``now`` (ns)."""
        owed = max(0, tat - now * self.count)
        return max(0, (self.tolerance + self.cost - owed) // self.cost)

    def free_at(self, tat: int) -> int:
        """The first nanosecond at which a token is there."""
        return -((self.tolerance - tat) // self.count)

    def converted(self, tat: int, now: int, other: Bucket) -> int:
        """The TAT in ``other`` that owes as many tokens: what was taken stays taken when a rate is changed.

        But nobody owes more than all tokens: a thousand that were taken in a second would be a day's at one a minute.
        """
        owed = -(-max(0, tat - now * self.count) * other.cost // self.cost)
        return now * other.count + min(owed, other.tolerance + other.cost)


class SourceBuckets:
    """One bucket for each source, in bounded memory.

    Two generations: a source that is used moves to the young one; when that holds half of the most, it becomes the
    old one, and the sources of the old one that were not used since are forgotten. So at least the half that was
    used last is remembered, and each costs one entry of a dictionary.

    Args:
        most: sources that are remembered at the most, 2 or more.
    """

    def __init__(self, bucket: Bucket, most: int) -> None:
        self.bucket = bucket
        self._half = max(1, most // 2)
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def tat(self, key: int) -> int:
        """The TAT of a source; 0 for one that is not remembered."""
        found = self._young.get(key)
        return self._old.get(key, 0) if found is None else found

    def admits(self, key: int, now: int) -> bool:
        """Whether a source has a token at ``now`` (ns)."""
        return self.bucket.admits(self.tat(key), now)

    def take(self, key: int, now: int) -> None:
        """Take one token of a source."""
        self._keep(key, self.bucket.taken(self.tat(key), now))

    def forget(self, key: int) -> None:
        """A source's bucket is full again."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def converted(self, now: int, bucket: Bucket, most: int) -> SourceBuckets:
        """The same sources, owing as much, under another rate or bound."""
        made = SourceBuckets(bucket, most)
        for generation in (self._old, self._young):
            for key, tat in generation.items():
                made._keep(key, self.bucket.converted(tat, now, bucket))
        return made

    def _keep(self, key: int, tat: int) -> None:
        self._young[key] = tat
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
