// Package inbox is a queue that never blocks its writers.
package inbox

import "sync"

// Inbox has any number of writers, and one reader, which waits on Ready.
type Inbox[T any] struct {
	mu    sync.Mutex
	items []T
	ready chan struct{}
}

// New returns an empty one.
func New[T any]() *Inbox[T] {
	return &Inbox[T]{ready: make(chan struct{}, 1)}
}

// Ready receives after a Put.
func (b *Inbox[T]) Ready() <-chan struct{} { return b.ready }

// Put appends an item.
func (b *Inbox[T]) Put(item T) {
	b.mu.Lock()
	b.items = append(b.items, item)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default: // the reader has been woken already
	}
}

// Each calls f with each item, in order, until ended is closed and nothing is left.
func (b *Inbox[T]) Each(ended <-chan struct{}, f func(T)) {
	for running := true; running; {
		select {
		case <-b.ready:
		case <-ended:
			running = false
		}
		for _, item := range b.TakeAll() {
			f(item)
		}
	}
}

// TakeAll returns what has been put since the last call.
func (b *Inbox[T]) TakeAll() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}
