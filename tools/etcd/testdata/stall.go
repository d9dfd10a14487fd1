package syscall

// With this file, and a call of stalled in Fdatasync, a program that is told of a file
// in TENURE_STALL writes to a disk that hangs for as long as there is such a file, and
// takes no time otherwise: nothing is synced, as with etcd's --unsafe-no-fsync.

// stalled waits while the disk hangs. False: the program has the disk it has.
func stalled() bool {
	file, ok := Getenv("TENURE_STALL")
	if !ok {
		return false
	}
	for {
		var st Stat_t
		if Stat(file, &st) != nil {
			return true
		}
		_ = Nanosleep(&Timespec{Nsec: 5e6}, nil)
	}
}
