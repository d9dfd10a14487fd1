// # Co-location
//
// A member that does its work in etcd does it best where etcd's leader is. Server.Options
// and Server.Policy keep it there, if every server of the cluster has such a member:
//
//	m, err := tenure.Join(ctx, st, s.Options(tenure.Options{})) // st is s.Store
//	...
//	err = m.Lead(ctx, "placement", work, tenure.LeadOptions{Policy: s.Policy()})
//
//	what happens                     what follows
//	-------------------------------  ----------------------------------------------------
//	etcd's leader moves              the term ends with ErrIneligible; when its function
//	                                 has returned, the member there has the seat
//
//	who leads elsewhere stays        the member beside etcd's leader deposes him, after a
//	                                 third of the TTL to two thirds
//
//	etcd has no leader               nothing, for a TTL; the term ends sooner if the
//	                                 server does not answer for as long as Bounds.Trust
//
//	nobody leads, for 10 to 20       etcd's leader comes to a server whose member waits;
//	election timeouts                later and later, if that does not help
//
//	a member flaps (FlapLimit)       etcd's leader is passed on
//
//	a server has a higher priority   etcd's leader comes to it, but not again within 5
//	                                 minutes of the last time, or after its member flapped
//
//	a server's disk hangs            its member's term ends by its own deadline; another
//	                                 leads beside etcd's new leader
//
// The last line is why the member's store is that of its own server alone. A server whose
// disk hangs still believes what it knew of etcd's leader, and so does its policy; but it
// answers nothing any more that would prolong a session or prove a term. A client of all
// servers would be answered by the others, and the member would lead on beside a server
// that is none. A disk that hangs shows when something is written: until then nobody
// misses it.
package embedded
