/*
 * Keystead: serving windows, acknowledgement and settling (promise 2), a model for spin.
 *
 * What is modelled. etcd is a linearizable log: each transaction gets the next revision and can
 * read the keystore records that stand at that revision. A keystore sends heartbeats, applies the
 * log in order and as late as it likes, and may serve from its copy while it has a window.
 * A mutation is acknowledged, and a read of a revision not known to be settled is answered, after
 * a settlement: everyone on the list says that it has applied the revision, or the wait is over;
 * then who said nothing is struck. Any process may stop for any time, or for good, between two
 * steps; clocks go on. Any request, answer or confirmation may be late or lost.
 *
 * Time. A window lasts D ticks of its keystore's clock, counted from before the heartbeat was sent;
 * a wait lasts E ticks of the waiting keystore's clock. A clock that counts a window may leave out
 * SKIPS ticks of any one wait, and as many as it likes while nobody waits. So, with E = D + SKIPS
 * (the default), E ticks of one clock are never fewer than D ticks of another. That, with E for
 * 1.1 D, is all that the rule asks of clocks. Ages stop counting at D and E, so time is unbounded;
 * the number of revisions is what is bounded.
 *
 * What is checked. `floor` is the newest revision that some client knows: acknowledged to it, or
 * read by it. Whoever reads gets a value no older than the floor at the start of the read
 * (assertion READ). It covers both: nothing old after an acknowledgement, no reading backwards.
 * The same assertion stands for reads answered at once and for those that settle first.
 *
 * What a frontend remembers (-DVIEWS). A frontend authorizes on a view: facts read from several
 * records, here the key's and one beside it (a grant, tags), and a version, which covers them. It
 * sends its decision and the version to a keystore. The keystore looks at its window, takes its
 * copy, and compares the version with that of the copy: where they differ it gives the copy's view
 * instead of an answer (STALE_VIEW), otherwise it answers. A DENY then rests on the remembered
 * facts; an ALLOW was decided once more on the copy, whose facts are the same ones. Views come from
 * any copy, however old, window or not, and are kept for as long as the frontend likes. Assertion
 * FACTS: the facts that an answer rests on were all true at one moment after the question was asked,
 * or at the floor of that time. So no answer rests on a fact whose version was not confirmed in a
 * copy that an open window covers.
 *
 * An incarnation of a keystore (one start of the process) is one keystore here, with its own record.
 * pkg/store keeps the record over restarts, as the lock of the data folder shows that the life
 * before has ended: that is -DRESTARTS.
 *
 * The code is pkg/store: window.c, settle.c, apply.c; for views, services/keystore/execute:
 * execute.c (the window first, then the copy) and confirm.c (the comparison). What it adds is here, too: a heartbeat may be
 * forgotten long before it is too old (-DTIMEOUT), and the watch may lose a mutation without a sign
 * (-DLOSSES). The revision `settled` of settle.h, which grows without anybody waiting, is a
 * settlement with the copy's own list that ends at once: -DRESETTLE -DOLDWORD.
 *
 * How to run: tests/model/check runs all of it. By hand:
 *     spin -a FLAGS serving-windows.pml
 *     gcc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c
 *     ./pan -m1000000            "errors: 0" is a proof within the bounds
 *     spin -t -p FLAGS serving-windows.pml        shows the trail of an error; look for "## "
 * FLAGS for a first look: -DJOINED (8 million states, a minute, 2 GB). The planted errors are found
 * with -DJOINED and the flags named beside them, ERR_OLD_LIST without -DJOINED, most in a second,
 * the two of striking in half a minute; for ERR_ANY_HEARTBEAT add -DMAXREV=5 -DT=1 -DMAXMUT=1.
 * A check that ends with "error: max search depth too small" proves nothing: give a greater -m.
 * For a short trail give pan a small depth instead: -m40, -m50, ... until it finds the error.
 *
 * Bounds (FLAGS): -DN=2 keystores, -DH=1 heartbeats of a keystore under way at a time,
 *   -DT=2 settlements at a time, -DMAXREV=6 revisions, -DMAXMUT=2 mutations, -DD=1, -DSKIPS=1, -DE=2
 * More behaviour:
 *   -DJOINED      start with everybody's record in the log and no windows (saves N revisions)
 *   -DRESTARTS=1  that many restarts in all: memory and copy are lost, the record stays
 *   -DANSWERS     a heartbeat's answer arrives later than its commit (without it: at once, which
 *                 allows more windows, not fewer, as nobody has to read)
 *   -DOLDWORD     what a keystore said before a restart still counts, also for settlements that
 *                 began later (a heartbeat's record may carry the applied revision)
 *   -DRESETTLE    a keystore need not know that a revision is settled
 *   -DSLOWREAD=1  one more reader that may pause between its start, its look at the window and its
 *                 look at the copy, in this order; 2: it looks at the copy first, and its copy, not
 *                 the newest one, must have applied the window's heartbeat
 *   -DTIMEOUT     a heartbeat may be forgotten at any time, and commit nevertheless
 *   -DLOSSES=1    that many times in all the watch loses a mutation and delivers what is behind it;
 *                 the version of the revision record shows it there, and the copy is loaded anew
 *   -DBACK=1      that many times in all etcd goes back by one or two revisions, with the same epoch,
 *                 while no window is open, and goes on from there (assertion HISTORY: nobody reads
 *                 from a copy that holds what etcd has lost)
 *   -DVIEWS       mutations of a second record, and a frontend that decides on a view it remembers
 *   -DRETRY       a client repeats a mutation at another keystore, which finds it done in the log
 * Planted errors, each of which spin finds (error: an assertion fails):
 *   -DERR_WINDOW_FROM_ANSWER  the window counts from the arrival of the heartbeat's answer (with -DANSWERS)
 *   -DERR_WINDOW_UNAPPLIED    the window opens before the heartbeat's revision is applied
 *   -DERR_ONLY_REACHABLE      a settlement does not wait for who is silent
 *   -DERR_READ_UNSETTLED      a read does not settle
 *   -DERR_WAIT_FROM_SEND      the wait counts from sending the mutation, not from knowing its commit
 *   -DERR_SELF                a keystore that settles counts itself as having applied
 *   -DERR_STRIKE_BLIND        striking does not compare the mod revision
 *   -DERR_STRIKE_LATE         striking compares with the record as it stands when the wait is over
 *   -DERR_OLD_LIST            a reader's list is older than the revision it settles
 *   -DERR_ONE_RECORD          two incarnations, both alive, share one record
 *   -DERR_ANY_HEARTBEAT       an answer counts for the heartbeat sent last (with -DH=2 -DANSWERS)
 *   -DERR_KEEP_WINDOW         the copy goes back and the window stays (with -DRESTARTS=1)
 *   -DERR_COPY_FIRST          the reader looks at the copy first, at the window later (with -DSLOWREAD=2)
 *   -DERR_RETRY_AT_ONCE       the repeated mutation's stored answer goes out unsettled (with -DRETRY)
 *   -DERR_REV_OF_MUTATIONS    heartbeats don't put the revision record, so that a loss shows only at
 *                             the next mutation (with -DLOSSES=1)
 *   -DERR_TRUST_THE_WATCH     nobody looks whether anything was lost (with -DLOSSES=1)
 *   -DERR_COUNTER_ALONE       an etcd that went back is refused until its counter has caught up (with
 *                             -DBACK=1, as the next four)
 *   -DERR_WATCH_UNPROVEN      a watch that begins again is not compared with the copy
 *   -DERR_WINDOW_UNPROVEN     a window opens before the watch has shown the copy's anchor
 *   -DERR_NONCE_KEPT          a mutation that is sent again keeps its nonce
 *   -DERR_REFUSAL_IN_MEMORY   a restart forgets what was refused (with -DRESTARTS=1)
 *   -DERR_UNCOVERED           the version leaves out the record beside the key (with -DVIEWS)
 *   -DERR_NEWEST_OF_ALL       the version is one number, the newest revision of the records that are
 *                             there: a deletion does not show (with -DVIEWS -DMAXMUT=3)
 *   -DERR_TORN_VIEW           facts and version of a view come from two moments (with -DVIEWS)
 *   -DERR_COMPARE_FIRST       the keystore compares first, and looks at the window later (with -DVIEWS)
 *   -DERR_ALLOW_TAKEN         the keystore answers by the frontend's decision and compares nothing
 *                             (with -DVIEWS)
 *   -DE=1, or -DSKIPS=2 -DE=2  a wait too short for the clocks, clocks worse than assumed
 */

#ifndef N
#define N 2
#endif
#ifndef H
#define H 1
#endif
#ifndef T
#define T 2
#endif
#ifndef D
#define D 1
#endif
#ifndef SKIPS
#define SKIPS 1
#endif
#ifndef E
#define E (D + SKIPS)
#endif
#ifndef MAXREV
#define MAXREV 6
#endif
#ifndef MAXMUT
#define MAXMUT 2
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif

/* Entries of the log. */
#define MUT 1
#define BEAT(x) (2 + (x))
#define STRIKE(x) (2 + N + (x))
#ifdef VIEWS
/* MUT puts the key's record, GRANT and DROP put and delete a record beside it. */
#define GRANT (2 + 2 * N)
#define DROP (3 + 2 * N)
#define ISMUT(e) ((e) == MUT || (e) >= GRANT)
#else
#define ISMUT(e) ((e) == MUT)
#endif

/* A heartbeat's way. */
#define FREE 0
#define SENT 1   /* on its way to etcd */
#define DONE 2   /* committed, its sender doesn't know */
#define KNOWN 3  /* committed, its sender knows the revision */
#define ORPHAN 4 /* too old, or its sender has restarted since; it may still commit */

/* A settlement's way. */
#define IDLE 0
#define ASKED 1     /* a mutation is on its way to etcd */
#define COMMITTED 2 /* committed, its writer doesn't know */
#define WAITING 3
#define STRIKING 4 /* acknowledged or answered; deletions of the silent are on their way */

/* The record that a keystore writes. */
#ifdef ERR_ONE_RECORD
#define RECORD(n) 0
#else
#define RECORD(n) (n)
#endif

/* etcd */
byte entry[MAXREV + 1]; /* the log, from revision 1 */
byte rev;               /* the last revision */
byte record[N];         /* mod revision of each keystore's record, 0: none */

/* keystores */
byte applied[N]; /* the local copy is the log up to here */
byte value[N];   /* mod revision of the key record in the local copy */

/* heartbeats, H for each keystore */
#define B(n, i) ((n) * H + (i))
byte beat[N * H];
byte beat_age[N * H]; /* on the sender's clock, since before it was sent; D: too old */
byte beat_rev[N * H];

/* settlements */
#define L(t, n) ((t) * N + (n))
byte settle[T];
byte settle_by[T];
byte settle_rev[T];
byte settle_age[T];  /* on the waiting keystore's clock */
byte skipped[T * N]; /* ticks of this wait that a keystore's clock has left out */
byte listed[T * N];  /* mod revisions of the records of those who have not confirmed; 0: nobody */
#ifdef OLDWORD
byte said[N]; /* the newest revision that this keystore, in any life, has said to have applied */
#define HASAPPLIED(t, n) (said[n] >= settle_rev[t])
#elif defined(ERR_SELF)
#define HASAPPLIED(t, n) (applied[n] >= settle_rev[t] || settle_by[t] == n)
#else
#define HASAPPLIED(t, n) (applied[n] >= settle_rev[t])
#endif

byte mutations, restarts, losses;
byte floor; /* the newest revision known to a client */

hidden byte i, j, x, x0, t0;

#ifdef ERR_WINDOW_UNAPPLIED
#define OPEN(n, k) (beat[B(n, k)] == KNOWN && beat_age[B(n, k)] < D)
#else
#define OPEN(n, k) (beat[B(n, k)] == KNOWN && beat_age[B(n, k)] < D && applied[n] >= beat_rev[B(n, k)] && \
                    MAYOPEN(n))
#endif
#if H == 1
#define WINDOW(n) OPEN(n, 0)
#define FREEBEAT(n) (beat[B(n, 0)] == FREE)
#else
#define WINDOW(n) (OPEN(n, 0) || OPEN(n, 1))
#define FREEBEAT(n) (beat[B(n, 0)] == FREE || beat[B(n, 1)] == FREE)
#endif
#if T == 1
#define FREESETTLE (settle[0] == IDLE)
#else
#define FREESETTLE (settle[0] == IDLE || settle[1] == IDLE)
#endif

#ifdef ERR_WAIT_FROM_SEND
#define TIMED(t) (settle[t] == ASKED || settle[t] == COMMITTED || settle[t] == WAITING)
#else
#define TIMED(t) (settle[t] == WAITING)
#endif

#ifdef RESETTLE
#define SETTLED 0
#else
#define SETTLED floor
#endif

#ifdef ERR_TRUST_THE_WATCH
#define UNNOTICED(r) true
#elif defined(ERR_REV_OF_MUTATIONS)
#define UNNOTICED(r) (entry[r] >= BEAT(0) && entry[r] < STRIKE(0))
#else
#define UNNOTICED(r) false
#endif

/*
 * etcd goes back (-DBACK). The nonce that a transaction puts into the revision record is the number
 * of the history in which it was sent: equal at a revision only if it is the same transaction.
 */
#if BACK > 0
byte backs;         /* times that etcd has gone back: the number of its history */
byte nonce[MAXREV + 1]; /* of the revision record at each revision */
byte anchor[N];     /* the nonce that a copy applied last */
bit proven[N];      /* the watch has shown that etcd has the copy's anchor */
bit refused[N];     /* it has not: until an operator decides, which is not modelled */
bit holds_lost[N];  /* the copy was made of revisions that etcd has lost */
#define STAMP nonce[rev] = backs
#ifdef ERR_COUNTER_ALONE
#define HASANCHOR(n) (rev > applied[n])
#else
#define HASANCHOR(n) (applied[n] == 0 || (applied[n] <= rev && nonce[applied[n]] == anchor[n]))
#endif
#define PROVEN(n) (proven[n] && !refused[n])
#define MAYBEAT(n) (!refused[n])
#define KEEPANCHOR(n) anchor[n] = nonce[applied[n]]
#define ASSERTHISTORY(n) assert(!holds_lost[n]) /* HISTORY */
#ifdef ERR_WINDOW_UNPROVEN
#define MAYOPEN(n) (!refused[n])
#else
#define MAYOPEN(n) PROVEN(n)
#endif
#ifdef ERR_NONCE_KEPT
byte gone[MAXREV + 1]; /* what etcd has lost: a mutation of there may be sent again, as it was */
#define STAMPMUT if :: backs > 0 && gone[rev] == MUT -> nonce[rev] = 0 :: else fi
#else
#define STAMPMUT skip
#endif
#else
#define STAMP skip
#define STAMPMUT skip
#define PROVEN(n) true
#define MAYBEAT(n) true
#define MAYOPEN(n) true
#define KEEPANCHOR(n) skip
#define ASSERTHISTORY(n) skip
#endif

#define RAISE(var, v) if :: (v) > var -> var = v :: else fi

inline pick_settlement() {
    t0 = 0;
    do :: settle[t0] == IDLE -> break :: else -> t0++ od;
    i = 0
}

/* The list as it stood at revision a. */
inline take_list(t, a) {
    i = 0;
    do
    :: i < N -> listed[L(t, i)] = 0; i++
    :: else -> break
    od;
    j = 1;
    do
    :: j <= a ->
        i = 0;
        do
        :: i < N ->
            if
            :: entry[j] == BEAT(i) -> listed[L(t, i)] = j
            :: entry[j] == STRIKE(i) -> listed[L(t, i)] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        j++
    :: else -> break
    od;
    j = 0
}

inline forget_settlement(t) {
    settle[t] = IDLE; settle_by[t] = 0; settle_rev[t] = 0; settle_age[t] = 0;
    i = 0;
    do :: i < N -> listed[L(t, i)] = 0; skipped[L(t, i)] = 0; i++ :: else -> break od;
    i = 0
}

inline commit_mutation() {
    settle[t0] = COMMITTED;
    settle_by[t0] = n;
    settle_rev[t0] = rev;
    take_list(t0, rev);
    printf("## mutation of %d commits at %d: %d\n", n, rev, entry[rev])
}

#ifdef VIEWS
/* Mod revisions of the two records as they stand at revision r, into x; 0: none. */
inline key_at(r) {
    x = r;
    do :: x > 0 && entry[x] != MUT -> x-- :: else -> break od
}
inline grant_at(r) {
    x = r;
    do :: x > 0 && entry[x] != GRANT && entry[x] != DROP -> x-- :: else -> break od;
    if :: x > 0 && entry[x] == DROP -> x = 0 :: else fi
}
#endif

#if H == 1
#define forget_beats(n) abandon(B(n, 0))
#else
#define forget_beats(n) abandon(B(n, 0)); abandon(B(n, 1))
#endif

inline forget_beat(b) { beat[b] = FREE; beat_age[b] = 0; beat_rev[b] = 0 }

/* Its sender counts on it no more; what is on its way may still commit. */
inline abandon(b) {
    if
    :: beat[b] == SENT -> beat[b] = ORPHAN; beat_age[b] = 0
    :: beat[b] == ORPHAN
    :: else -> forget_beat(b)
    fi
}

/* May keystore x's clock leave out this tick? */
#if T == 1
#define MAYSKIP(x) (!TIMED(0) || skipped[L(0, x)] < SKIPS)
#else
#define MAYSKIP(x) ((!TIMED(0) || skipped[L(0, x)] < SKIPS) && (!TIMED(1) || skipped[L(1, x)] < SKIPS))
#endif
#define AGING(b) ((beat[b] == SENT || beat[b] == DONE || beat[b] == KNOWN) && beat_age[b] < D)
#if H == 1
#define COUNTING(x) AGING(B(x, 0))
#else
#define COUNTING(x) (AGING(B(x, 0)) || AGING(B(x, 1)))
#endif

/* One tick. */
proctype Clock() {
    do
    :: atomic {
        x = 0;
        do
        :: x < N ->
            if
            :: COUNTING(x) && MAYSKIP(x) ->
                i = 0;
                do
                :: i < T -> if :: TIMED(i) && settle_age[i] < E -> skipped[L(i, x)]++ :: else fi; i++
                :: else -> break
                od
            :: COUNTING(x) ->
                i = 0;
                do
                :: i < H ->
                    if :: AGING(B(x, i)) -> beat_age[B(x, i)]++ :: else fi;
                    /* Too old for a window. */
                    if
                    :: beat[B(x, i)] == KNOWN && beat_age[B(x, i)] == D -> forget_beat(B(x, i))
#if !defined(ERR_WINDOW_FROM_ANSWER) && !defined(ERR_ANY_HEARTBEAT)
                    :: beat[B(x, i)] == SENT && beat_age[B(x, i)] == D ->
                        beat[B(x, i)] = ORPHAN; beat_age[B(x, i)] = 0
                    :: beat[B(x, i)] == DONE && beat_age[B(x, i)] == D -> forget_beat(B(x, i))
#endif
                    :: else
                    fi;
                    i++
                :: else -> break
                od
            :: !COUNTING(x)
            fi;
            x++
        :: else -> break
        od;
        i = 0;
        do
        :: i < T ->
            if
            :: TIMED(i) && settle_age[i] < E ->
                settle_age[i]++;
                if
                :: settle_age[i] == E -> /* over; from now on clocks may do what they like */
                    j = 0;
                    do :: j < N -> skipped[L(i, j)] = 0; j++ :: else -> break od
                :: else
                fi
            :: else
            fi;
            i++
        :: else -> break
        od
    }
    od
}

/* Commits and loses heartbeats, whenever it likes. */
proctype Network(byte n, k) {
    do
    :: d_step { ((beat[B(n, k)] == SENT || beat[B(n, k)] == ORPHAN) && rev < MAXREV) ->
        rev++; STAMP;
        entry[rev] = BEAT(RECORD(n));
        record[RECORD(n)] = rev;
        if
        :: beat[B(n, k)] == ORPHAN -> forget_beat(B(n, k))
        :: else ->
            beat_rev[B(n, k)] = rev;
#ifdef ANSWERS
            beat[B(n, k)] = DONE
#else
            beat[B(n, k)] = KNOWN
#endif
        fi;
        printf("## heartbeat of %d commits at %d\n", n, rev)
      }
    :: d_step { beat[B(n, k)] == SENT || beat[B(n, k)] == ORPHAN || beat[B(n, k)] == DONE ->
        forget_beat(B(n, k)) /* the request or its answer is lost */
      }
#ifdef TIMEOUT
    :: d_step { beat[B(n, k)] == SENT -> abandon(B(n, k)) } /* its sender waits no longer */
#endif
    :: d_step { beat[B(n, k)] == DONE -> /* the answer arrives, or the watch shows this very heartbeat */
        printf("## %d learns of its heartbeat at %d\n", n, beat_rev[B(n, k)]);
#ifdef ERR_WINDOW_FROM_ANSWER
        beat_age[B(n, k)] = 0;
#endif
#ifdef ERR_ANY_HEARTBEAT
        if
        :: beat[B(n, 1 - k)] == SENT && beat_age[B(n, 1 - k)] < beat_age[B(n, k)] ->
            beat_age[B(n, k)] = beat_age[B(n, 1 - k)]
        :: else
        fi;
#endif
        if
        :: beat_age[B(n, k)] >= D -> forget_beat(B(n, k)) /* came too late for a window */
        :: else -> beat[B(n, k)] = KNOWN
        fi
      }
    od
}

proctype Keystore(byte n) {
    do
    :: d_step { FREEBEAT(n) && MAYBEAT(n) && rev < MAXREV -> /* reads its clock, then sends a heartbeat */
        i = 0;
        do :: beat[B(n, i)] == FREE -> break :: else -> i++ od;
        beat[B(n, i)] = SENT;
        beat_age[B(n, i)] = 0;
        printf("## %d sends a heartbeat\n", n)
      }
    :: d_step { applied[n] < rev && PROVEN(n) -> /* the watch delivers the next revision */
        applied[n]++;
        KEEPANCHOR(n);
#ifdef OLDWORD
        RAISE(said[n], applied[n]);
#endif
        if :: ISMUT(entry[applied[n]]) -> value[n] = applied[n] :: else fi;
        printf("## %d has applied %d\n", n, applied[n])
      }

#if LOSSES > 0
    /* The watch loses a mutation and delivers the entry behind it. */
    :: d_step { losses < LOSSES && applied[n] + 1 < rev && ISMUT(entry[applied[n] + 1]) ->
        losses++;
        printf("## %d loses %d\n", n, applied[n] + 1);
        if
        :: UNNOTICED(applied[n] + 2) ->
            applied[n] = applied[n] + 2;
            if :: ISMUT(entry[applied[n]]) -> value[n] = applied[n] :: else fi
        :: else -> /* the revision record shows it: the copy is loaded anew */
            forget_beats(n);
            applied[n] = 0;
            value[n] = 0
        fi
#ifdef OLDWORD
        ; RAISE(said[n], applied[n])
#endif
      }
#endif

#if BACK > 0
    /* A watch begins: with the anchor, or with something else. */
    :: d_step { !proven[n] && !refused[n] ->
        if
        :: HASANCHOR(n) -> proven[n] = 1
#ifndef ERR_COUNTER_ALONE
        :: else -> refused[n] = 1; forget_beats(n); printf("## %d refuses\n", n)
#else
        :: else
#endif
        fi
      }
#endif

    /* A mutation. It needs no window. */
#ifdef ERR_WAIT_FROM_SEND
    :: d_step { mutations < MAXMUT && rev < MAXREV && FREESETTLE && PROVEN(n) ->
        mutations++;
        pick_settlement();
        settle[t0] = ASKED;
        settle_by[t0] = n;
        printf("## %d sends a mutation\n", n)
      }
#else
    :: d_step { mutations < MAXMUT && rev < MAXREV && FREESETTLE && PROVEN(n) ->
        mutations++;
        pick_settlement();
        rev++; STAMP;
        entry[rev] = MUT;
        STAMPMUT;
        commit_mutation()
      }
#ifdef VIEWS
    :: d_step { mutations < MAXMUT && rev < MAXREV && FREESETTLE && PROVEN(n) ->
        mutations++;
        pick_settlement();
        grant_at(rev);
        rev++; STAMP;
        if :: x == 0 -> entry[rev] = GRANT :: else -> entry[rev] = DROP fi;
        commit_mutation()
      }
#endif
#endif

    /* Reads. The value is chosen here, so no newer floor than that of now can be asked of it.
       A keystore answers at once if somebody has settled the value; with -DRESETTLE it may also
       settle it once more, not knowing. */
    :: d_step { WINDOW(n) && value[n] <= floor ->
        ASSERTHISTORY(n);
        assert(value[n] >= floor) /* READ */
      }
#ifdef ERR_READ_UNSETTLED
    :: d_step { WINDOW(n) && value[n] > floor ->
        printf("## read at %d gives %d at once, unsettled\n", n, value[n]);
        floor = value[n]
      }
#endif
    :: d_step { WINDOW(n) && value[n] > SETTLED && FREESETTLE ->
        printf("## read at %d will give %d, settles it first\n", n, value[n]);
        ASSERTHISTORY(n);
        assert(value[n] >= floor); /* READ */
        pick_settlement();
        settle[t0] = WAITING;
        settle_by[t0] = n;
        settle_rev[t0] = value[n];
#ifdef ERR_OLD_LIST
        take_list(t0, value[n] - 2);
#else
        take_list(t0, applied[n]);
#endif
      }
#ifdef RETRY
    /* The same mutation once more, at a keystore that need not have applied it nor have a window:
       the transaction finds the request's record and reads the list, both at the present revision.
       The stored answer is an acknowledgement. */
    :: d_step { mutations > 0 && FREESETTLE && rev > 0 ->
        j = rev;
        do :: j > 0 && !ISMUT(entry[j]) -> j-- :: else -> break od;
        x = j;
        if
        :: x > floor ->
            printf("## retry at %d finds the mutation at %d\n", n, x);
#ifdef ERR_RETRY_AT_ONCE
            floor = x
#else
            pick_settlement();
            settle[t0] = COMMITTED;
            settle_by[t0] = n;
            settle_rev[t0] = x;
            take_list(t0, rev)
#endif
        :: else
        fi
      }
#endif
#if RESTARTS > 0
    :: d_step { restarts < RESTARTS -> /* the process dies and starts anew with an empty copy */
        restarts++;
        printf("## %d restarts\n", n);
#if BACK > 0
        proven[n] = 0;
        anchor[n] = 0;
        if :: refused[n] -> skip :: else -> holds_lost[n] = 0 fi; /* nobody knows any more */
#ifdef ERR_REFUSAL_IN_MEMORY
        refused[n] = 0;
#endif
#endif
        applied[n] = 0;
        value[n] = 0;
        j = 0;
#ifndef ERR_KEEP_WINDOW
        do
        :: j < H ->
            if
            :: beat[B(n, j)] == SENT -> beat[B(n, j)] = ORPHAN; beat_age[B(n, j)] = 0
            :: beat[B(n, j)] == ORPHAN
            :: else -> forget_beat(B(n, j))
            fi;
            j++
        :: else -> break
        od;
#else
        do
        :: j < H -> beat_rev[B(n, j)] = 0; j++
        :: else -> break
        od;
#endif
        j = 0;
        do
        :: j < T ->
            if
            :: settle[j] != IDLE && settle[j] != STRIKING && settle_by[j] == n -> forget_settlement(j)
            :: else
            fi;
            j++
        :: else -> break
        od;
        j = 0
      }
#endif
    od
}

#define CONFIRM(t, n) \
    d_step { settle[t] == WAITING && listed[L(t, RECORD(n))] != 0 && HASAPPLIED(t, n) -> \
        listed[L(t, RECORD(n))] = 0; \
        printf("## %d confirms %d to %d\n", n, settle_rev[t], settle_by[t]) \
    }

#define DELETE(t, n) \
    d_step { settle[t] == STRIKING && listed[L(t, n)] != 0 -> \
        if \
        :: rev < MAXREV && STILL(t, n) -> \
            rev++; STAMP; entry[rev] = STRIKE(n); record[n] = 0; \
            printf("## %d is struck at %d\n", n, rev) \
        :: else \
        fi; \
        listed[L(t, n)] = 0 \
    }

#ifdef ERR_STRIKE_BLIND
#define STILL(t, n) (record[n] != 0)
#else
#define STILL(t, n) (record[n] == listed[L(t, n)])
#endif

#if N == 2
#define NOBODY(t) (listed[L(t, 0)] == 0 && listed[L(t, 1)] == 0)
#else
#define NOBODY(t) (listed[L(t, 0)] == 0 && listed[L(t, 1)] == 0 && listed[L(t, 2)] == 0)
#endif

#ifdef ERR_ONLY_REACHABLE
#define OVER(t) true
#else
#define OVER(t) (settle_age[t] >= E)
#endif

/* Of a mutation or a read: one function. */
proctype Settlement(byte t) {
    do
#ifdef ERR_WAIT_FROM_SEND
    :: d_step { settle[t] == ASKED && rev < MAXREV ->
        rev++; STAMP;
        entry[rev] = MUT;
        settle[t] = COMMITTED;
        settle_rev[t] = rev;
        take_list(t, rev);
        printf("## mutation of %d commits at %d\n", settle_by[t], rev)
      }
    :: d_step { settle[t] == COMMITTED -> settle[t] = WAITING }
#else
    :: d_step { settle[t] == COMMITTED -> /* the writer learns of the commit, its wait begins */
        settle[t] = WAITING;
        settle_age[t] = 0
      }
#endif
    :: d_step { settle[t] == COMMITTED || settle[t] == WAITING -> /* dies or gives up: UNAVAILABLE */
        forget_settlement(t)
      }
    :: CONFIRM(t, 0)
    :: CONFIRM(t, 1)
#if N > 2
    :: CONFIRM(t, 2)
#endif
    :: d_step { settle[t] == WAITING && NOBODY(t) -> /* all have confirmed */
        printf("## %d acknowledges or answers %d, all have confirmed\n", settle_by[t], settle_rev[t]);
        RAISE(floor, settle_rev[t]);
        forget_settlement(t)
      }
    :: d_step { settle[t] == WAITING && !NOBODY(t) && OVER(t) -> /* nobody older may serve any more */
        printf("## %d acknowledges or answers %d, the wait is over\n", settle_by[t], settle_rev[t]);
        RAISE(floor, settle_rev[t]);
#ifdef ERR_STRIKE_LATE
        i = 0;
        do
        :: i < N -> if :: listed[L(t, i)] != 0 -> listed[L(t, i)] = record[i] :: else fi; i++
        :: else -> break
        od;
#endif
        settle[t] = STRIKING;
        settle_age[t] = 0
      }
    :: DELETE(t, 0)
    :: DELETE(t, 1)
#if N > 2
    :: DELETE(t, 2)
#endif
    :: d_step { settle[t] == STRIKING -> forget_settlement(t) } /* done, or lost */
    od
}

#ifdef SLOWREAD
/* A read that may pause anywhere; it gives up where it would have to settle. */
byte slow_floor, slow_at, slow_step, slow_value, slow_applied, slow_restarts;
#ifdef ERR_COPY_FIRST
#define SLOWOPEN(k) OPEN(slow_at, k)
#else
#define SLOWOPEN(k) (OPEN(slow_at, k) && slow_applied >= beat_rev[B(slow_at, k)])
#endif
#if H == 1
#define SLOWWINDOW SLOWOPEN(0)
#else
#define SLOWWINDOW (SLOWOPEN(0) || SLOWOPEN(1))
#endif
inline slow_end() { slow_floor = 0; slow_at = 0; slow_step = 0; slow_value = 0; slow_applied = 0; slow_restarts = 0 }
proctype SlowReader() {
    do
    :: d_step { slow_step == 0 && floor > 0 -> slow_floor = floor; slow_step = 1; slow_restarts = restarts;
        printf("## slow read starts, floor %d\n", floor) }
    :: d_step { slow_step == 0 && floor > 0 -> slow_floor = floor; slow_step = 1; slow_at = 1; slow_restarts = restarts;
        printf("## slow read starts, floor %d\n", floor) }
#if SLOWREAD == 1
    :: d_step { slow_step == 1 && WINDOW(slow_at) -> slow_step = 2 }
    :: d_step { slow_step == 2 && slow_restarts == restarts -> slow_step = 3; slow_value = value[slow_at] }
#else
    :: d_step { slow_step == 1 -> slow_step = 2; slow_value = value[slow_at]; slow_applied = applied[slow_at];
        printf("## slow read looks at the copy of %d\n", slow_at) }
    :: d_step { slow_step == 2 && SLOWWINDOW && slow_restarts == restarts -> slow_step = 3 }
#endif
    :: d_step { slow_step == 3 ->
        printf("## slow read at %d gives %d\n", slow_at, slow_value);
        assert(slow_value >= slow_floor); /* READ */
        slow_end()
      }
    :: d_step { slow_step > 0 -> slow_end() }
    od
}
#endif

#ifdef VIEWS
/*
 * A frontend that decides on what it remembers of a key, and the keystore that it asks. The facts
 * of a view are the two records; they are written as the mod revisions that they were read from.
 */
byte view_key, view_grant; /* the facts that the frontend remembers */
byte ask_floor, ask_at, ask_step, ask_restarts;

/* What the keystore compares: the version of the view with that of its copy. */
#ifdef ERR_UNCOVERED
#define SAMEVERSION (ask_key == view_key)
#elif defined(ERR_NEWEST_OF_ALL)
#define NEWEST(a, b) ((a) > (b) -> (a) : (b))
#define SAMEVERSION (NEWEST(ask_key, ask_grant) == NEWEST(view_key, view_grant))
#elif defined(ERR_TORN_VIEW)
byte view_version; /* of the grant, read later than the grant */
#define SAMEVERSION (ask_key == view_key && ask_grant == view_version)
#elif defined(ERR_ALLOW_TAKEN)
#define SAMEVERSION true
#else
#define SAMEVERSION (ask_key == view_key && ask_grant == view_grant)
#endif
hidden byte ask_key, ask_grant, ask_true;

inline look_at_copy() {
    key_at(value[ask_at]); ask_key = x;
    grant_at(value[ask_at]); ask_grant = x
}

/* The facts were true, both at once, when the question was asked or later. */
inline assert_facts() {
    ask_true = 0;
    j = ask_floor;
    do
    :: j <= rev ->
        key_at(j);
        if
        :: x == view_key -> grant_at(j); if :: x == view_grant -> ask_true = 1 :: else fi
        :: else
        fi;
        j++
    :: else -> break
    od;
    printf("## the answer of %d rests on key %d, grant %d; floor %d\n", ask_at, view_key, view_grant,
           ask_floor);
    assert(ask_true == 1) /* FACTS */
}

inline ask_end() { ask_floor = 0; ask_at = 0; ask_step = 0; ask_restarts = 0 }

#define ASK(n) \
    d_step { ask_step == 0 && floor > 0 -> \
        ask_floor = floor; ask_at = n; ask_step = 1; ask_restarts = restarts; \
        printf("## frontend asks %d, floor %d\n", n, floor) \
    }

/* STALE_VIEW: the view of any copy, however old; it needs no window and is not settled. */
#define LEARN(n) \
    d_step { ask_step == 0 -> \
        ask_at = n; look_at_copy(); view_key = ask_key; view_grant = ask_grant; \
        TEAR \
        ask_at = 0; \
        printf("## frontend takes the view of %d: key %d, grant %d\n", n, view_key, view_grant) \
    }
#ifdef ERR_TORN_VIEW
#define TEAR view_version = view_grant;
#define TEARLATER(n) \
    d_step { ask_step == 0 -> \
        ask_at = n; look_at_copy(); view_version = ask_grant; ask_at = 0; \
        printf("## the version of the grant is read at %d: %d\n", n, view_version) \
    }
#else
#define TEAR
#endif

proctype Frontend() {
    do
    :: LEARN(0)
    :: LEARN(1)
#ifdef ERR_TORN_VIEW
    :: TEARLATER(0)
    :: TEARLATER(1)
#endif
    :: ASK(0)
    :: ASK(1)
#ifndef ERR_COMPARE_FIRST
    :: d_step { ask_step == 1 && WINDOW(ask_at) -> ask_step = 2 }
    :: d_step { ask_step == 2 && ask_restarts == restarts -> /* takes the copy, and compares */
        look_at_copy();
        if
        :: SAMEVERSION -> assert_facts()
        :: else
        fi;
        ask_end()
      }
#else
    :: d_step { ask_step == 1 && ask_restarts == restarts ->
        look_at_copy();
        if :: SAMEVERSION -> ask_step = 2 :: else -> ask_end() fi
      }
    :: d_step { ask_step == 2 && WINDOW(ask_at) -> assert_facts(); ask_end() }
#endif
    :: d_step { ask_step > 0 -> ask_end() } /* lost */
    od
}
#endif

#if BACK > 0
/*
 * The lost majority is replaced by a survivor that was behind, or etcd is restored from a snapshot,
 * by hand: windows are over by then, and what was on its way to etcd is gone. What clients knew of
 * the lost revisions is not true any more.
 */
#if N == 2
#define NOWINDOWS (!WINDOW(0) && !WINDOW(1))
#else
#define NOWINDOWS (!WINDOW(0) && !WINDOW(1) && !WINDOW(2))
#endif
proctype Disaster() {
    do
    :: d_step { backs < BACK && rev > 1 && NOWINDOWS ->
        if :: x0 = rev - 1 :: rev > 2 -> x0 = rev - 2 fi;
        i = 0;
        do :: i < N * H -> forget_beat(i); i++ :: else -> break od;
        t0 = 0;
        do :: t0 < T -> forget_settlement(t0); t0++ :: else -> break od;
        backs++;
        i = 0;
        do
        :: i < N ->
            record[i] = 0;
            if :: applied[i] > x0 -> holds_lost[i] = 1 :: else fi;
#ifndef ERR_WATCH_UNPROVEN
            proven[i] = 0;
#endif
            i++
        :: else -> break
        od;
        floor = 0;
        j = 1;
        do
        :: j <= rev ->
            if
            :: j > x0 ->
#ifdef ERR_NONCE_KEPT
                gone[j] = entry[j];
#endif
                entry[j] = 0; nonce[j] = 0
            :: else ->
                if :: ISMUT(entry[j]) -> floor = j :: else fi;
                i = 0;
                do
                :: i < N ->
                    if
                    :: entry[j] == BEAT(i) -> record[i] = j
                    :: entry[j] == STRIKE(i) -> record[i] = 0
                    :: else
                    fi;
                    i++
                :: else -> break
                od
            fi;
            j++
        :: else -> break
        od;
        printf("## etcd goes back from %d to %d\n", rev, x0);
        rev = x0;
        t0 = 0; i = 0; j = 0; x0 = 0
      }
    od
}
#endif

init {
    atomic {
        i = 0;
        do
        :: i < N ->
#ifdef JOINED
            rev++; STAMP;
            entry[rev] = BEAT(RECORD(i));
            record[RECORD(i)] = rev;
            applied[i] = N;
#if BACK > 0
            proven[i] = 1;
#endif
#endif
            i++
        :: else -> break
        od;
        run Clock();
        i = 0;
        do
        :: i < N ->
            run Keystore(i);
            j = 0;
            do :: j < H -> run Network(i, j); j++ :: else -> break od;
            i++
        :: else -> break
        od;
        i = 0;
        do :: i < T -> run Settlement(i); i++ :: else -> break od;
#ifdef SLOWREAD
        run SlowReader();
#endif
#ifdef VIEWS
        run Frontend();
#endif
#if BACK > 0
        run Disaster();
#endif
        i = 0
    }
}
