"""What nodes say to one another about one group. Tuples, first their code; CBOR on the wire.

Any of them may be lost, come twice, or late: none is needed exactly once. `inc` is an incarnation of the sender's
store unless said otherwise, `p` a partition, sequences are local to the sender's store unless said otherwise, `claim`
is `Claim.row()`. A later release may append to any of them, and say more: what stands behind the words below is passed
over, and so are other codes. It doesn't append to rows in a message, but for claims: what it adds to rows is a list of
its own, at the end.

    (HAIL, inc, digest, number)
        Say what you know of me. `digest` is of all claims that I know. If number isn't 0: if you know the same, say
        what you offer me, also if that is nothing.
    (CLAIMS, [[p, claim], …])
        I know these claims.
    (KNOW, inc, inc', upto, [p, …], [[p, inc'', sequence], …])
        Begin your stream to me. I have all of your changes in these partitions up to (inc', upto), and in the others
        up to a position of their own.
    (START, inc, session, base, [p, …], [p, …])
        A stream begins. The first partitions go on from `base`, the second ones are to be filled in pieces; others
        will be opened.
    (FRAME, inc, session, number, to, opened, closed, claims, epochs, parts)
        What I committed since the frame before, up to `to`, in the partitions that are open. Numbers are 1, 2, …
        opened: [[p, at], …], all that was changed after the sequence `at` is in this frame or a later one. closed:
        [p, …], before it. claims: [[p, claim], …]. epochs: [[p, epoch], …] of the parts' partitions. parts: [[p,
        table, blob, rows], …].
    (ACK, inc', session, number, to, inc, mark, after, refused)
        All frames up to this one of yours are durable here. mark: my last sequence at which one of the stream's
        partitions was changed by anybody else; after: my sequence after applying it. refused: [[p, claim], …], not
        taken in, for these claims are known here.
    (PULL, id, [[p, inc', since, head, floor], …])
        Send me the changes of these partitions since these positions of yours, if you still are at `head` or beyond.
        floor: of the claim that I know or am making; answer only if you know of it.
    (CHUNK, id, inc, head, parts, [[p, through, whole, void], …])
        Parts as in FRAME. through: covered up to there; whole: there is nothing more below `head`; void: my copy is
        not to be learned from.
    (OFFER, inc, [[p, sequence], …], inc', number)
        I have changes up to there that may not have come from you. (inc', number): of the HAIL that asked for it, and
        then that is all; else 0.
    (LIVE, inc, at, inc', session, [[p, epoch, foreign, inc', through], …])
        My copies are complete under your claims of these epochs; session is your stream's. I am at `at` now; the last
        that anybody but you changed in them was at `foreign`, and what you changed in them I have up to (inc',
        through).
    (LIVED, [[p, epoch, through], …], session)
        I have heard of it, of the stream that this was said of.
    (YIELD, [[p, claim], …])
        My directory is older than my claims: take over, if you are complete.
    (CHECK, inc, session, number, p, table, after, last, count, digest)
        Behind the frame `number` and before the next one, this range of keys has this digest.
    (DIFFERS, [p, …])
        A range of keys in them had another one here.
    (HAND, p, epoch, left)
        A planned move: take the partition over from my claim of this epoch. I serve it on in `left` milliseconds. Said
        again when you have claimed it: are you serving it?
    (SPARE, [[p, epoch], …])
        I have copies of these, and am to have none, by your claims of these epochs. Are they needed?
    (FREE, [[p, epoch], …])
        They are not: under these claims all copies that are to be are complete.
    (SPREAD, [[p, claim], …])
        These are new: tell everybody.
    (SERVED, p, claim, ms)
        I have served the partition that you handed over, by this claim, for so long.
    (PLEDGE, number, [[p, claim, covers, has], …])
        Pledge these partitions to these claims of mine: I have all that was given out in them under claims up to
        `covers` ([epoch, primary], or []), and under those of `has` ([[epoch, primary], …]).
    (PLEDGED, number, [[p, epoch, last, covers, has, sequence], …])
        To these claims ([epoch, primary, heir], with epoch 0 to none) they are pledged; if that isn't yours of this
        epoch, you have to learn first what was given out under it. covers, has: of my copy. sequence: as in OFFER, or
        0 if there is nothing that you may lack.
"""

HAIL = 0
CLAIMS = 1
KNOW = 2
START = 3
FRAME = 4
ACK = 5
PULL = 6
CHUNK = 7
OFFER = 8
LIVE = 9
LIVED = 10
YIELD = 11
CHECK = 12
DIFFERS = 13
HAND = 14
SPARE = 15
FREE = 16
SPREAD = 17
SERVED = 18
PLEDGE = 19
PLEDGED = 20

NAMES = (
    "hail", "claims", "know", "start", "frame", "ack", "pull", "chunk", "offer", "live", "lived", "yield", "check",
    "differs", "hand", "spare", "free", "spread", "served", "pledge", "pledged",
)  # fmt: skip
WORDS = (4, 2, 6, 6, 10, 9, 3, 6, 5, 6, 3, 2, 10, 2, 4, 2, 2, 2, 4, 3, 3)
"""How many each of them has, its code included."""
