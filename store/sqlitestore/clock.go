package sqlitestore

import "time"

// clock is the time that leases live by. All processes of one host must read
// the same clock, it must not jump when somebody sets the date, and it must go
// on while the machine sleeps.
type clock interface {
	now() time.Duration
	// id names the clock: times of two clocks with one id may be compared.
	id() string
}
