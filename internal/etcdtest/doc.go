// Package etcdtest runs real etcd servers for tests: one node or a cluster, with
// TLS, client certificates or passwords, whose processes can be killed, stopped
// and started again, cut off from each other, and given disks that hang.
//
// It needs nothing but Go's standard library and an etcd binary, so it lies in
// the root module, where the driver's tests, the command's and benchmarks all
// reach it without a module of its own. "make etcd" builds the binary.
//
// It does not import package testing, and only tests import it.
package etcdtest
