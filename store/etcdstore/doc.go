// Package etcdstore is a store on an etcd cluster: leader election among the
// processes of many hosts.
//
//	st, err := etcdstore.Open(ctx, etcdstore.Config{
//		Endpoints: []string{"https://etcd-1:2379", "https://etcd-2:2379", "https://etcd-3:2379"},
//	})
//
// # What it guarantees
//
// All of package store's contract. Commits and listings are linearizable. What
// was acknowledged is lost only where a majority of etcd's members lose their
// disks, or were told not to sync them (--unsafe-no-fsync). A cluster that is
// restored from a backup is an older state: revisions, and the tokens made of
// them, go back to it; etcd's "--bump-revision" prevents that.
//
// No request that writes is sent a second time unless the first was answered as
// not executed. A call ends with its context, or after 10 s where that has no
// deadline, and Open and New after Config.DialTimeout; what a call without an
// answer has done is unknown (store.ErrUnavailable).
//
// A watch that has heard nothing for 5 s asks the server for a sign of life, and
// ends with ErrUnavailable when none comes for 5 s more, as it does when its
// server has lost the cluster. store.Follow then makes it anew, most likely with
// another server. A new watch may take etcd 100 ms to begin; no change is lost.
//
// # Leases
//
// A lease lives by the monotonic clock of etcd's leader. A new leader gives every
// lease its full TTL again, and an election timeout on top: leases outlive etcd's
// own elections, and a fail-over takes that much longer when it meets one. etcd
// looks for expired leases every 500 ms, so keys go up to as much later than their
// TTL; it ends at most 1000 leases a second.
//
// TTLs are whole seconds; a fraction is rounded up. The shortest is one and a half
// election timeouts of the servers, also rounded up: 2 s, unless they were
// configured otherwise. Capabilities.MinTTL has it, as the server says when the
// store is opened.
//
// # Servers
//
// Every member must run etcd 3.5.13 or newer. In older ones a member that was the
// leader, and was held up by its disk, could end leases that the new leader had
// just renewed (etcd issue 15247, fixed by pull request 16822), a renewal could be
// refused because the lease was still being made (issue 13675), and a watch could
// lose events after a compaction (pull request 17612). Open and New ask every
// endpoint that answers and refuse an older one. The checks see endpoints: name all
// members.
//
// The endpoints are those that were given: the driver does not replace them by
// what the cluster says of itself, which may be addresses of another network.
// Requests go to all of them in turn, so a cluster that has lost one member
// goes on. Names are looked up again when connections break.
//
// # Connections
//
// Open makes connections of its own. With New, elections share those of the
// caller's client: a burst of application traffic then delays renewals, so that
// leaders may step down. Whoever wants both uses Open for elections, beside a
// client of one's own, and Store.Compare to fence that client's transactions.
//
// # Rights
//
// A user needs read and write on the keys under Config.Prefix, and nothing else.
// With a user and password every watch and every renewal logs in anew, because
// etcd checks a stream once, when it begins, and tokens end (--auth-token-ttl).
// A login is made to cost a server time (--bcrypt-cost). Client certificates cost
// none.
//
// # Limits
//
// etcd's defaults: 128 operations of a kind in a transaction, and 1.5 MiB in a
// request. A value is at most 1 MiB here.
package etcdstore
