// Package cluster makes the processes of one application a cluster: its nodes know of
// each other, each publishes a state of its own that goes with it, and one of them leads.
//
//	n, err := cluster.New(st, "billing", "node-1", cluster.Options{
//		Endpoint: "10.0.0.1:80",
//		Leader:   func(ctx context.Context, t tenure.Term) error { return assign(ctx, n) },
//		Follower: func(ctx context.Context) error { return report(ctx, n) },
//	})
//	err = n.Start(ctx)
//	err = n.Put(ctx, "load", []byte("0.3"))
//	loads, err := n.GetAll(ctx, "load") // of every live node
//
// Standalone is a Node without a store, for tests and for programs that run alone. A View
// looks at a cluster from outside.
//
// # Guarantees
//
//  1. A leader's routine runs only while its node leads, as package tenure promises it:
//     never while another node's may still run. On one node no two routines run at a time.
//  2. Losing the leadership loses no state: it hangs on another session. A renewal that
//     fails loses nothing.
//  3. What a node publishes is what its last Put and Delete of each key said, in their
//     order, whatever requests and replies are lost or late. It is there for others when
//     Put returns, and goes in one commit, with the node's record, when the node leaves or
//     its session ends.
//  4. A node whose session was lost makes another and publishes everything again; its
//     owner is told (Trace.Lost, Trace.Rejoined).
//  5. A watch tells the present state and then every change, in order. Where history was
//     lost, one Gap says so, and what follows is the difference. It ends with an error.
//
// And the reverse: state is what a node says of itself while it lives. What must outlast
// it belongs elsewhere, in the store through tenure.Leadership.Commit for example. And two
// reads are two moments: who must act on what is still so passes a token to whatever can
// refuse it.
//
// # How a node publishes
//
// One goroutine of a node, the publisher, writes for it, one commit at a time, and all
// that waits goes into the next. It is in one of three states:
//
//	        looked; the record is not ours
//	  +------------------------------------+
//	  v                                    |
//	looking ---------> writing ---------> idle
//	  ^    looked     |   ^   committed    |
//	  |               |   |                |
//	  +---------------+   +----------------+
//	     refused            something changed
//
// Looking reads who owns the id and the node's record. Where the record is this session's,
// the next commit is guarded by the record's revision. Where it is not (the session is new,
// or somebody has deleted the record), the next commit writes the record, guarded by
// the ownership of the id and by the record as it was read, and everything that was
// published is queued again.
//
// Three rules keep what is late from doing harm:
//
//   - Every commit is guarded by the record at its last known revision. So when it is
//     written again, no commit that was sent before can take effect any more.
//   - A commit whose reply was lost is unknown, and stays queued. The next one writes the
//     record, too: then it is settled, whichever of the two took effect.
//   - All keys hang on the lease of the session: nothing can be put on it once it has ended.
//
// Others may write in a node's name (View.Put), together with a note in its record. The
// node sees the record change, takes their keys for its own, and clears the note.
//
// # What fails
//
//	what fails                who notices        when                       what the user's code sees
//	------------------------  -----------------  -------------------------  ------------------------------
//	node dies                 the store          NodeTTL after its last     NodeExpired; Deleted of its
//	                                             renewal                    keys; another leads after TTL
//
//	node loses its session    the node           as it ends                 Trace.Lost; then another
//	                                                                        session, Trace.Rejoined
//
//	renewal fails, or hangs   the node           at once                    nothing
//
//	store is away             whoever asks it    its context, or 10 s       the store's error; Put goes
//	                                                                        on trying
//
//	reply to a Put is lost    the node           a NodeTTL, at most         nothing: it is put again
//
//	record is deleted by      the node           at once                    NodeExpired and NodeJoined
//	somebody else                                                           by others
//
//	id is another's after     the node           when the store is back     the node ends by itself with
//	an outage                                                               ErrDuplicateMember, which
//	                                                                        Healthy and calls return
//
//	routine fails or panics   the node           at once                    Trace.Routine; called again
//	                                                                        after twice as long, each time
//
//	routine does not return   the node           DrainTimeout after its     Trace.Overrun; Stop returns
//	                                             context's end              ErrDrainTimeout; no routine of
//	                                                                        the node runs meanwhile, and
//	                                                                        it hands the leadership on
//
//	history is compacted      the watch          when it is made anew       Gap, then the difference
//	under a watch
//
// # Limits
//
//	name of a cluster, id      1 byte to MaxName (256 bytes), UTF-8, without NUL
//	key                        1 byte to MaxKey (1 KiB), UTF-8, without NUL
//	value                      up to MaxValue (512 KiB)
//	endpoint, version, tags    together up to MaxRecord (64 KiB)
//	keys of a node             any number; 100 and about 1 MiB in one commit
//
// A leadership lost because of the store's answers, and who is next, are package tenure's
// matter; see its documentation.
package cluster
