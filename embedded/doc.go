// Package embedded runs an etcd server inside the process: a replicated store of one's
// own, for a team that runs none.
//
//	s, err := embedded.Start(ctx, embedded.Config{Name: "a", Dir: "/var/lib/app", Peers: map[string]string{
//		"a": "10.0.0.1:2380", "b": "10.0.0.2:2380", "c": "10.0.0.3:2380",
//	}, Client: "10.0.0.1:2379", ...})
//	st, err := s.Store(ctx, "")
//	m, err := tenure.Join(ctx, st, tenure.Options{Endpoint: "10.0.0.1:8080"})
//
// "tenure serve" is the same as a command. It is a true etcd, to which all of etcd's
// tools speak.
//
// # One, three or five
//
// A server without peers is a cluster of one: what it has acknowledged is on its disk,
// and elections wait while it is away. Three servers go on when any one of them is lost,
// five when two are. Two are worse than one, and even numbers no better than the odd one
// below.
//
// All servers of a new cluster are started with the same Peers, and serve as soon as
// most of them run. After that the cluster is what the servers' data say: servers
// join with Config.Join, and Config.Replaces removes one that is gone for good as it
// does. One that joins takes part only once it has the data. The Peers of the first start may stay;
// a list that shares no other server with the data, a directory of another server, and peers
// that belong elsewhere are refused, because either would go on as a second cluster.
//
// A cluster that is made anew with the names and addresses of an old one cannot be told
// from it: remove the old directories of all its servers first.
//
// A server whose disk has lost or damaged its data must not come back under its own
// name as if nothing had been: it may have acknowledged what it has forgotten. It joins
// as a new server, in place of what it was.
//
// # What is kept
//
// Renewals and reads write nothing, so servers whose elections are quiet write nothing,
// however many members there are. A hand-over adds some 1.1 KB to the database, where it
// stays as history for the Retention and, as etcd looks only that often, up to as long
// again. With h hand-overs a second the database so takes about
//
//	h x 2 x Retention x 1.1 KB
//
// on top of what is present: 0.7 MB at one a second for the default of 5 min, and the
// Quota of 2 GiB only above 3000 a second. For a year that is the same as for ten minutes.
// Beside it there is the log of what was written, in files of 64 MB, each good for some
// 60,000 hand-overs, of which etcd keeps five with the one that it writes and the next: at
// most 450 MB, which half a million hand-overs a year, one a minute, reach in spring.
// Snapshots take little. So 0.5 GB of disk for a server are enough for most, and 3 GB
// whatever happens. TestYear shows it, compressed into minutes.
//
// The application's own keys (tenure.Data) count, too. When the Quota is reached, a server
// drops the history, gives back what is not used, and goes on; when what is left is too
// much, it says so in the log, and accepts no writes that add anything until there is room.
//
// # What fails
//
//	data directory in use, or another's        Start: ErrInUse, ErrOtherCluster
//	address in use                             Start: ErrInUse
//	peers have other lists                     Start: ErrOtherCluster, as soon as one answers
//	peers do not answer                        Start waits, and logs for whom
//	certificate expired, or of others          Start: ErrInvalid; a peer's is logged at Debug
//	data damaged                               Start: ErrDamaged
//	disk full, or failing                      Done, Err: ErrStopped with the reason
//	removed from the cluster                   Done, Err: ErrRemoved; and so from Start
//	most servers away                          nothing: elections wait; leaders' terms end
//	                                           when they cannot renew
//
// Where etcd itself cannot go on it wants to end the process. Here Done is closed, and
// the program decides; but not all of etcd's goroutines may then be gone, so that most
// programs should end, too.
//
// # Security
//
// Servers listen on the loopback interface unless told otherwise, and then require
// certificates of clients and peers, or Config.Insecure. Everybody who may speak to
// a server may write everything: an election's keys are no secret from its members.
package embedded
