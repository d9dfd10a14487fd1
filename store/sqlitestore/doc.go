// Package sqlitestore is a store in one SQLite file, shared by the processes of
// one host: leader election without a server.
//
//	st, err := sqlitestore.Open(ctx, "/var/lib/app/tenure.db", sqlitestore.Options{})
//
// # What it guarantees
//
// All of package store's contract. Nothing that was acknowledged is lost when a
// process is killed or the host loses power: each commit is synced, and neither
// a revision nor a lease id is given twice. That ends where the disk lies about
// having synced.
//
// A lease lives by a clock that all processes of the host share, that setting
// the date does not move and that counts the time a machine sleeps. It ends a few
// milliseconds after its time while any process has a watch, in the next
// write or List otherwise. A handle without a watch does nothing by itself.
//
// A commit is seen by the watches of other processes as soon as the kernel
// tells them of it, usually within a millisecond, and at the latest after a
// second, should the writer have died before it could tell. Where the kernel
// has no notification left to give, watches look every 20 milliseconds.
//
// A process that is stopped, as by SIGSTOP, while it holds SQLite's write lock
// stops all writers until it goes on or is killed. Their calls end with their
// contexts. A call that waits for the disk itself does not.
//
// # One host
//
// One file belongs to one host at a time, and to one boot of it. Open by a
// process that reads another clock (after a restart, on another machine, in
// another time namespace) takes the file over: every lease gets its full TTL again
// from then on, and every handle opened before fails from then on with
// ErrUnavailable until it is opened again. After a restart this costs a wait of at
// most one TTL. It is a safety net for a disk that moves, not a way to share a
// file: two hosts that take it from each other get nothing done.
//
// The file system must be a local one. SQLite coordinates processes through
// shared memory and file locks, which network file systems do not carry between
// hosts. Containers of one host can share the file if they share its folder;
// to mount the file alone into each of them would separate it from the files
// beside it and destroy it.
//
// # Files
//
// Beside the file lie three others: -wal and -shm are SQLite's and part of the
// database while it is in use; -bell is written to when there is news, and may
// be removed. A new file has mode 0600, and the others have the mode of the
// file. Its folder must exist and be writable by all users of the file.
//
// Do not remove, replace or copy the file while it is in use; SQLite's own
// ".backup" takes a copy. Handles notice that the file was removed or replaced
// and fail. A restored copy is an older state: revisions, and the tokens made of
// them, go back to it. A program that uses this package must not open and close
// the file by other means, because that drops SQLite's locks on it.
//
// # Limits
//
// Linux and macOS; on other systems Open returns ErrUnsupported. The TTL of a
// lease is at least 10 milliseconds, a value is at most 1 MiB, a transaction has at
// most 512 operations. History for watches covers the last Options.History
// revisions, but not more than 64 MiB of keys and values. Commits are serial, so
// that the disk's time to sync is what bounds them.
package sqlitestore
