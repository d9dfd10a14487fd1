package tenure

import "sync"

// inbox is a queue that never blocks its writers. One reader waits on ready.
type inbox[T any] struct {
	mu    sync.Mutex
	items []T
	ready chan struct{}
}

func newInbox[T any]() *inbox[T] {
	return &inbox[T]{ready: make(chan struct{}, 1)}
}

func (b *inbox[T]) put(item T) {
	b.mu.Lock()
	b.items = append(b.items, item)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default: // the reader has been woken already
	}
}

// takeAll returns what has been put since the last call.
func (b *inbox[T]) takeAll() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}
