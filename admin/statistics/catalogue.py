"""The table of a node's figures. A test holds it against what a node that serves says of itself."""

from typing import Final

from admin.statistics import replicas, routing
from admin.statistics.figures import COUNTER, GAUGE, HISTOGRAM, PEAK, TEXT, Catalogue, lines

_HUB: Final = (
    lines(
        COUNTER,
        """
        hub.accepted: connections that were taken
        hub.accept_errors: connections that could not be taken for a reason of the system
        hub.refused.{reason}: connections that were refused, by reason
        hub.closed.{reason}: connections that ended, by reason or error code
        hub.bytes_in [bytes]: bytes read from phones
        hub.bytes_out [bytes]: bytes written to phones
        hub.events: ready descriptors that were looked at
        hub.passes: batches of ready descriptors
        hub.turns: runs of passes between which other tasks have their turn
        hub.failures: exceptions of the protocol's code; each ended one connection
        hub.handshakes_done: TLS handshakes that were completed
        hub.handshakes_failed: TLS handshakes that failed
        hub.writes_blocked: writes that the kernel did not take whole
        hub.pauses: connections that were not read from any more because they didn't read
        hub.stale_events: events for descriptors that were gone
        hub.trims: times that memory was given back to the system
        hub.held_up: times that the loop came seconds late
        hub.soon_called: functions that were called in a pass for other parts
        """,
    )
    + lines(
        GAUGE,
        """
        hub.connections: connections now
        hub.handshaking: connections whose TLS handshake isn't done
        hub.handshakes_waiting: of these, those that wait for a step of it
        hub.blocked_writers: connections that don't take what is written to them
        hub.soon_waiting: functions that wait for the next pass
        """,
    )
    + lines(
        HISTOGRAM,
        """
        hub.batches: ready descriptors in one pass
        hub.lag_us [us]: between two looks at the descriptors while there was work: the longest that one had to wait
        """,
    )
)

_SESSIONS: Final = lines(
    GAUGE,
    """
    sessions: phones that are logged in
    logins_waiting: logins that wait for their turn, as session.logins_per_s_max lets them
    logins_waiting_max: how many may
    """,
) + lines(
    COUNTER,
    """
    logins: logins since the start
    logins_put_off: phones that were told when to come again, because so many logins wait
    frames_dropped: acks that could not be taken in; phones repeat them
    rate_limited: sends beyond what one device may send
    """,
)

_MAIL: Final = (
    lines(
        COUNTER,
        """
        mail.sends: messages that phones sent, repetitions included
        mail.taken: messages that were taken in
        mail.duplicates: messages that were here already
        mail.gaps: times that a sender was told to go back
        mail.busy: times that a sender was told to come again
        mail.refused: messages that were refused for good, or until a mailbox has room
        mail.delivered: messages that were handed to their recipient's session
        mail.acks: acks of recipients
        mail.skips: numbers that senders gave up
        mail.reads: marks of recipients up to where they have read
        mail.confirms: confirmations of senders that they know what was received or read
        mail.accepted_delivered: messages accepted because the recipient has them: never written, write-behind hits
        mail.accepted_stored: messages accepted because they are on disk
        mail.commits: commits of mail
        mail.commits_failed: commits of mail that failed
        mail.written: messages that were written
        mail.expired: messages that grew too old, or ended with their device
        mail.purged: pairs that were forgotten after their time
        mail.dropped: pairs that were dropped with their partition
        mail.retold: pairs that were told again after a merge
        mail.tells: pairs of which the sender's primary, another node, was told
        mail.tells_again: of these, because it had not answered
        mail.tells_put_off: receipts of another node that found no room to be loaded
        mail.retells_asked: questions to primaries to tell all of a pair again, since two records of a receipt met
        mail.told: answers of it that it has them for good
        mail.loads: events that had to wait for their pair to be read
        mail.marked: pairs that were put in the queue to be written
        mail.receipts_marked: receipts that were put in the queue to be written
        mail.read_errors: reads of mail that failed
        """,
    )
    + lines(
        GAUGE,
        """
        mail.pairs: pairs of sender and recipient in memory
        mail.boxes: mailboxes in memory
        mail.pending: messages in memory that are neither on disk nor acknowledged
        mail.pending_bytes [bytes]: their bodies
        mail.urgent: entries of messages to be written with the next commit
        mail.delayed: entries of messages that wait for the recipient's ack before they are written
        mail.sync_drawn_ms [ms]: by how much that wait is drawn out, while messages are written in vain
        mail.dirty: entries of pairs to be written
        mail.dirty_receipts: entries of receipts to be written
        mail.loads_waiting: events that wait for their pair to be read
        mail.boxes_loading: mailboxes that are being read
        mail.receipts: receipts that senders have yet to confirm, in memory
        mail.receipts_loading: receipts that are being read
        mail.receipt_scans: senders whose receipts are being told from disk
        mail.reads_stalled: reads that wait for room in the store's queue
        mail.wipes: mailboxes that are being ended with their device
        """,
    )
    + lines(
        HISTOGRAM,
        """
        mail.accepted_ms [ms]: from taking a message in to telling its sender that it is accepted
        mail.delivery_ms [ms]: from taking a message in to the recipient's ack, of recipients that were handed it
        """,
    )
)

_ACCOUNTS: Final = (
    lines(
        COUNTER,
        """
        accounts.answers.{answer}: answers to PIN requests, registrations and logins, by what was answered
        accounts.login.logins: logins that were let in
        accounts.login.failed: logins with a wrong signature, or of nobody
        accounts.login.held_up: logins that had to wait because others failed before
        accounts.login.read_again: logins for which the account was read again
        accounts.login.failed_addresses.forgotten: addresses whose failures had to be forgotten for want of room
        accounts.login.failed_addresses.refused: logins that were held up for their address
        accounts.login.failed_numbers.forgotten: numbers whose failures had to be forgotten for want of room
        accounts.login.failed_numbers.refused: logins that were held up for their number
        accounts.registration.address_pins.forgotten: addresses whose PINs had to be forgotten for want of room
        accounts.registration.address_pins.refused: PIN requests beyond what an address may ask for
        accounts.registration.address_guesses.forgotten: addresses whose guesses had to be forgotten for want of room
        accounts.registration.address_guesses.refused: guesses beyond what an address may try
        accounts.courier.delivered: PINs that the gateway took
        accounts.courier.failed: PINs that the gateway failed to take
        accounts.courier.broken: PINs at which the gateway broke
        accounts.courier.too_old: PINs that were too old when their turn came
        accounts.courier.gateway_counts.{what}: what the gateway counts
        accounts.pins_swept: PIN records that were forgotten after their time
        """,
    )
    + lines(
        GAUGE,
        """
        accounts.login.reading: logins that wait for their account to be read
        accounts.login.failed_addresses.keys: addresses with failed logins
        accounts.login.failed_numbers.keys: numbers with failed logins
        accounts.registration.in_store: PIN requests and registrations that wait for the store
        accounts.registration.in_store_max: the most that may
        accounts.registration.waiting_for_wipe: registrations that wait for the former device's mail to be ended
        accounts.registration.waiting_for_wipe_max: the most that may
        accounts.registration.stand_ins: numbers without a PIN that were guessed at
        accounts.registration.wipes_unwritten: ends of former devices' mail that are not written yet
        accounts.registration.address_pins.keys: addresses that asked for PINs
        accounts.registration.address_guesses.keys: addresses that guessed wrong
        accounts.courier.waiting: PINs that wait for the gateway
        accounts.courier.waiting_max: the most that may
        accounts.courier.in_hand: PINs that the gateway is given now
        """,
    )
    + lines(TEXT, "accounts.courier.gateway: how PINs reach phones")
)

_STORE: Final = (
    lines(
        COUNTER,
        """
        store.results_delivered: results of the store that the loop has heard of
        store.groups.{group}.commits: commits of a group
        store.groups.{group}.submits: writes that were committed, many to one commit
        store.groups.{group}.rows: rows that were committed
        store.groups.{group}.busy: writes that were refused because the queue was full
        store.groups.{group}.commit_seconds [seconds]: time spent in commits
        store.groups.{group}.sweeps: times that all free pages were put in order (with spare_bytes)
        store.groups.{group}.floor_grants: times that a commit let the loop go first
        store.groups.{group}.sequence: changes since the group was made
        store.groups.{group}.cold_reads: reads that a thread did because they may wait for the disk
        """,
    )
    + lines(
        GAUGE,
        """
        store.results_waiting: results of the store that the loop has yet to hear of
        store.groups.{group}.queue_rows: rows that wait to be committed
        store.groups.{group}.queue_bytes [bytes]: their size
        store.groups.{group}.cold_reads_waiting: reads that wait for the thread
        store.groups.{group}.used_bytes [bytes]: bytes of the map that are in use
        store.groups.{group}.warm: 1 while the group is read on the loop, 0 when it is too large for that
        """,
    )
    + lines(
        PEAK,
        "store.groups.{group}.commit_seconds_max [seconds]: the longest commit since the group was opened",
    )
    + lines(
        HISTOGRAM,
        """
        store.groups.{group}.commit_rows: rows of a commit
        store.groups.{group}.commit_time_us [us]: how long a commit took
        """,
    )
    + lines(TEXT, "store.groups.{group}.fatal: why a group writes no more")
)

_SYSTEM: Final = (
    lines(
        COUNTER,
        """
        system.cpu.user_seconds [seconds]: CPU of all threads, outside the kernel
        system.cpu.system_seconds [seconds]: CPU of all threads, in the kernel
        system.cpu.loop_seconds [seconds]: of both, that of the loop's thread
        system.switches.voluntary: context switches because a thread waited
        system.switches.involuntary: context switches because others wanted the core
        system.faults.minor: page faults without the disk
        system.faults.major: page faults that had to read the disk
        system.io.read_bytes [bytes]: bytes that this process had read from disks
        system.io.write_bytes [bytes]: bytes that this process had written to disks
        system.tcp.in_segments: TCP segments received, of the whole network namespace, as all of tcp
        system.tcp.out_segments: TCP segments sent
        system.tcp.retransmitted: TCP segments sent again
        system.tcp.in_errors: TCP segments that were damaged
        system.tcp.resets_sent: TCP resets sent
        system.tcp.failed_attempts: TCP connections that failed before they were established
        system.tcp.resets_received: established TCP connections that were reset
        system.tcp.listen_overflows: connections that a full backlog turned away
        system.tcp.listen_drops: connections that a listening socket dropped, for any reason
        system.tcp.timeouts: TCP retransmission timers that ran out
        system.disk.reads: reads of the data directory's device
        system.disk.writes: writes of the data directory's device
        system.disk.read_bytes [bytes]: bytes read from the device
        system.disk.written_bytes [bytes]: bytes written to the device
        system.disk.busy_seconds [seconds]: time that the device had something to do
        gc.collections.{generation}: garbage collections
        gc.collected.{generation}: objects that they freed
        gc.uncollectable.{generation}: objects that they could not free
        statistics.samples: times that all of this was taken
        statistics.missed: seconds in which it was not, because the loop was late
        statistics.failures: samples that failed; the first is in the log
        statistics.cpu_seconds [seconds]: CPU that taking, keeping and showing it has cost
        statistics.history_errors: records of the history that could not be written
        statistics.figures_dropped: figures that were left out of a record for want of room
        statistics.webhook.posts: posts of alarms that were tried
        statistics.webhook.failed: events that no post could tell
        statistics.webhook.dropped: events of alarms that were not told because too many waited
        statistics.webhook.told: events of alarms that the webhook took
        statistics.scrapes.answered: scrapes of Prometheus that were answered
        statistics.scrapes.refused: requests that were no scrape, or one too many
        """,
    )
    + lines(
        GAUGE,
        """
        system.memory.resident_bytes [bytes]: resident memory
        system.memory.limit_bytes [bytes]: what the process may have: of its control group, or of the machine
        system.memory.share: resident memory as a share of that
        system.memory.available_bytes [bytes]: what the machine has left
        system.threads: threads
        system.descriptors.open: open descriptors; on kernels before 6.2 counted once a minute
        system.descriptors.max: the most there may be
        system.load_1m: tasks that ran or wanted to, over a minute, of the whole machine
        system.tcp.established: established TCP connections
        system.tcp.sockets: TCP sockets in use
        system.tcp.time_wait: TCP connections in TIME_WAIT
        system.tcp.orphans: TCP connections that no process holds any more
        system.tcp.memory_bytes [bytes]: memory of TCP's buffers
        system.disk.free_bytes [bytes]: free space for the data directory
        system.disk.total_bytes [bytes]: size of its file system
        system.disk.free_share: free space as a share of that
        system.disk.in_flight: requests that the device has in hand
        loop.late_ms [ms]: how late the loop came to take this sample
        loop.tasks: Trio tasks
        loop.runnable: of these, those that are ready to run
        statistics.webhook.waiting: events of alarms that wait to be posted
        statistics.figures_left_out: figures of the last sample that had no room and are kept nowhere
        statistics.alarms: alarms that are raised now
        statistics.uptime_seconds [seconds]: time since the node was ready
        """,
    )
    + lines(
        HISTOGRAM,
        """
        gc.pauses_us [us]: how long garbage collections held up everything
        loop.lateness_us [us]: how late the loop came to take samples
        """,
    )
)

_OPERATING: Final = (
    lines(
        COUNTER,
        """
        admin.connections_admitted: connections of the admin channel whose key is on the list
        admin.connections_refused: connections of keys that aren't
        admin.handshakes_failed: connections that proved no key
        admin.requests: requests on the admin channel
        admin.refused.{reason}: requests that were refused before they were read as a command
        admin.commands.{outcome}: commands by what came of them
        admin.lines_dropped: lines that an asker did not take in time
        admin.answers_dropped: answers that an asker did not take in time
        admin.failures: failures of the channel itself, which went on
        admin.audit_written: lines of the audit log
        admin.audit_lost: lines of the audit log that could not be written
        admin.keys_not_read: times that the list of keys had a mistake
        knobs.ended: knobs that went back when their time was over
        backup.made: backups that were made over the channel
        backup.failed: backups that failed
        reload.applied: changes of code that were applied
        reload.rolled_back: changes that an operator took back
        reload.undone: changes that were undone because the node got worse
        reload.refused: changes that were refused
        reload.history_failed: writes of the history of changes that failed
        profiling.profiles: profiles that were taken
        profiling.samples: samples of all profiles
        profiling.cost_seconds [seconds]: of the loop's time, for these
        profiling.heaps: times that the heap was counted
        tee.taken: entries that were taken out of the tee's buffer
        tee.dropped: reads that had no room in the tee's buffer
        tee.dropped_bytes [bytes]: of these
        tee.frames: frames that were sent to a test node
        tee.left_out: frames that a tee doesn't carry
        tee.malformed: reads in a tee that were no frames
        tee.batches: messages to a test node
        tee.bytes [bytes]: of these
        tee.connects: connections to a test node
        tee.stalled: how often a test node took no more
        tee.work_seconds [seconds]: of the loop, for the tee
        shadow.begun: tees that began here
        shadow.connections_refused: connections whose key isn't in shadow.allow
        shadow.dropped: messages of a tee that the hub had no room for
        shadow.malformed: messages of a tee that made no sense
        shadow.strangers: messages without a greeting before them
        shadow.refused: tees beyond the bound
        shadow.stage.heard: frames of guests
        shadow.stage.told: frames to guests, which went nowhere
        shadow.stage.failures: handlers that failed with a guest
        shadow.stage.unknown: what guests said who weren't there any more
        shadow.stage.refused: guests beyond the bound
        shadow.stage.ends.{reason}: guests that went, by reason
        """,
    )
    + lines(
        GAUGE,
        """
        admin.keys: keys that may ask
        admin.running: commands that run now
        knobs.kept: knobs that are turned for good
        knobs.timed: knobs that are turned for a time
        backup.running: 1 while a backup is made
        backup.last_at [seconds]: when the last backup began, since 1970
        backup.last_records: records in it
        backup.last_bytes [bytes]: its size
        backup.last_seconds [seconds]: how long it took
        reload.in_effect: changes of code that could be taken back
        reload.watching: changes of code that are watched
        reload.history_waiting: outcomes of changes that the disk has not taken yet
        profiling.looking: looks into the node that go on
        profiling.tasks_known: tasks of which it is known when they began
        tee.running: 1 while there is a tee
        tee.sessions: sessions in the tee's share
        tee.entries: what was said and isn't sent to the test node yet
        tee.entries_max: how many may be
        tee.buffer_bytes [bytes]: of these
        shadow.tees: live nodes that tee to this one
        shadow.stage.guests: sessions without sockets
        reload.pause_ms_last [ms]: how long the last change held up the loop
        """,
    )
    + lines(PEAK, "reload.pause_ms_max [ms]: the longest that a change held up the loop")
    + lines(
        TEXT,
        """
        reload.version: of all modules together
        reload.modules.{module}: of a module that was reloaded
        """,
    )
)

_CLUSTER: Final = replicas.FIGURES + routing.FIGURES

CATALOGUE: Final = Catalogue(_OPERATING + _HUB + _SESSIONS + _MAIL + _ACCOUNTS + _STORE + _SYSTEM + _CLUSTER)
