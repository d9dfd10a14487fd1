// Package web shows over HTTP what a process knows of its elections. It reads only: who
// can reach it can learn, and change nothing.
//
//	/leader/NAME                  200 on the leader, 503 elsewhere
//	/healthz                      200, or 503 with a reason
//	/readyz                       200, or 503 with a reason
//	/metrics                      for Prometheus
//	/v1/member                    this member
//	/v1/elections                 every election
//	/v1/elections/NAME            one election
//	/v1/elections/NAME/leader     its leader; 404: nobody leads
//	/v1/elections/NAME/history    its last terms
//
// NAME is one segment of the path, escaped as in any URL: the election "a/b" is
// /leader/a%2Fb. All is JSON but the metrics. GET, HEAD and OPTIONS are answered with the same
// status: load balancers probe with each of them.
//
// Requests are no reason to renew a session late: those that read the store are few at a
// time, the others read memory.
package web
