"""The protocol of leases and kills, as a model that is searched in every state it can reach.

One task, and all who touch it: two workers, the broker, the sweeps of the control worker, people.
The tests beside this module show that the promises below hold in every reachable state, whatever
is lost, repeated, late, killed or frozen; the conformance test shows that the stores on a real
MongoDB do what the model says.

Who does what
-------------

MongoDB holds the receipt. Each change is one guarded update: it happens as a whole where its
filter holds when it is written, and not at all elsewhere (`update.py` lists them, each with its
guards). Nobody acts on what it read before, unless a guard says that it still holds.

A message is a hint. It may be lost, doubled or late; a worker that gets one tries to claim, and
the claim decides.

A **claim** takes a PENDING task that nobody asked to end or to pause: PROCESSING, `attempt` + 1,
and a lease with a token that nobody had before. Every later write of that attempt names the token.
Once the token is not the lease's any more the write changes nothing, and the job stops.

A **step** of a job stores its effect and its checkpoint in one transaction that names the token:
both are there or neither. The next attempt starts from the checkpoint, so each effect is there
once, however many attempts it took. A commit whose answer was lost is made again, and finds the
mark that it left: it is not stored twice.

The **keeper**, in the worker's parent process, renews the leases of what its children run. When
nobody renews (the worker is dead, frozen or cut off), MongoDB's clock lets the lease run out.

The **reaper** sees leases that ran out, and takes each, if it is then still the same one and still
expired: to PENDING for the next attempt, to FAILED after the last one, to CANCELED where somebody
asked for the end. The **republisher** sends a message for what is PENDING and has none.

A **kill** is stored first. From then on no claim succeeds. What waits is CANCELED by whoever comes
first: the API, the control worker or its sweep. A job that runs ends itself at its next look; the
process of one that does not look is ended by its worker's parent, which then writes CANCELED in
the name of the token that the process had. Where the worker is out of reach, the reaper does.

A **suspension** is stored first, too. What waits is SUSPENDED at once; a job that runs gives its
task back at its next checkpoint. That, like a worker's shutdown, is a *return*: `returns` + 1, and
no attempt is spent. Resuming makes the task PENDING, or withdraws a pause that has not begun.

A process whose token its task has forgotten is ended by its parent.

What is promised
----------------

`invariant.py` lists it: the status moves by the table, and what has ended never changes; a task
has a lease while it is PROCESSING, and only then, with one holder; each claim is the next attempt,
and faults spend no more of them than there are; what is to end or to pause is not begun; an effect
is stored once, under the lease; a lease that runs is not reaped. And: **no code runs under a lease
that its task has left, except under one that ran out.** That is the known limit. A process that
was frozen or cut off for longer than its lease may still be at work when the task is CANCELED, or
runs elsewhere; whatever it writes is refused, and it is ended as soon as its worker is in reach.

From every reachable state, with no further fault, the task comes to an end or to a pause: there is
a way, and no way round it. This takes that sweeps run, that workers are started again, and that
what stays possible is done in the end.

How it is searched
------------------

`bound.py` names the bounds of each search, `explore.py` searches breadth first, `flaw.py` lists
protocols that lack one guard or one duty and the promise that each breaks: a counterexample is the
shortest list of steps that leads to it. Faults are not counted: any number of them may happen.

What is not modelled: time (a lease has run out or not), the delay before a retry (it only puts a
claim off), fan-out, the copies in Redis, and a write that reaches MongoDB a second time after its
sender has given it up and gone on.
"""

from collections.abc import Iterator
from itertools import chain

from tests.protocol.job import job_steps
from tests.protocol.parent import fault_steps, parent_steps
from tests.protocol.protocol import Protocol, Step
from tests.protocol.state import State
from tests.protocol.surroundings import surrounding_steps


def steps_from(protocol: Protocol, state: State) -> Iterator[Step]:
    """Everything that may happen next; steps that change nothing are left out."""
    absent = protocol.absent
    actors = (fault_steps, job_steps, parent_steps)
    made = chain(
        *(steps(protocol, state, index) for index in (0, 1) for steps in actors),
        surrounding_steps(protocol, state),
    )
    return (step for step in made if step.action.kind not in absent and step.after != state)
