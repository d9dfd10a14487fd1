package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/fsnotify/fsnotify"

	"github.com/tenure-go/tenure/store"
)

// Options are what Open may be told. The zero value is fit for use.
type Options struct {
	// History is how many revisions a watch may lie behind before it ends with
	// ErrCompacted. The default is 10 000.
	History int

	// What tests replace.
	clock      clock
	newWatcher func() (*fsnotify.Watcher, error)
}

// Store is a store in a file. It implements store.Store.
type Store struct {
	path, bell string
	file       os.FileInfo // of path, when it was opened
	history    int64
	clock      clock
	newWatcher func() (*fsnotify.Watcher, error)
	adoption   int64 // of the file, when it was opened

	// Pools of connections. Close keeps what it takes.
	writer, readers, feeder chan *conn

	done    chan struct{}
	closing sync.Once
	running sync.WaitGroup

	mu       sync.Mutex
	feed     *feed // while there are watches
	watchers map[*watcher]struct{}
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, which it makes if there is none;
// its folder must exist. Any number of processes of one host may have it open.
// Ctx bounds the wait for others.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	if opts.History < 0 {
		return nil, fmt.Errorf("%w: sqlite: history of %d revisions; it cannot be negative", store.ErrInvalid, opts.History)
	}
	s := &Store{
		history:    int64(opts.History),
		clock:      opts.clock,
		newWatcher: opts.newWatcher,
		writer:     make(chan *conn, 1),
		readers:    make(chan *conn, 2),
		feeder:     make(chan *conn, 1),
		done:       make(chan struct{}),
		watchers:   map[*watcher]struct{}{},
	}
	if err := s.fillIn(); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, path); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *Store) fillIn() (err error) {
	if s.history == 0 {
		s.history = defaultHistory
	}
	if s.newWatcher == nil {
		s.newWatcher = fsnotify.NewWatcher
	}
	if s.clock == nil {
		s.clock, err = newClock()
	}
	return err
}

func (s *Store) connect(ctx context.Context, path string) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.path, err = locate(path); err != nil {
		return err
	}
	s.bell = s.path + "-bell"
	if s.file, err = os.Stat(s.path); err != nil {
		return s.fail(err)
	}
	for i, pool := range s.pools() {
		for range cap(pool) {
			c, err := s.connection(ctx, i == 0)
			if err != nil {
				return err
			}
			pool <- c
		}
	}
	f, err := s.makeBell()
	if err != nil {
		return s.fail(err)
	}
	return errors.Join(s.fail(f.Close()), s.inPlace())
}

// connection dials and, the first time, prepares the file.
func (s *Store) connection(ctx context.Context, first bool) (*conn, error) {
	c, err := dial(s.path)
	if err != nil {
		return nil, s.fail(err)
	}
	err = s.persist(ctx, func() error { return c.script(settings) })
	if err == nil && first {
		err = s.prepareFile(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (s *Store) pools() []chan *conn { return []chan *conn{s.writer, s.readers, s.feeder} }

// settings of a connection. FULL syncs the log in each commit: nothing that
// was acknowledged is lost with the power. fullfsync makes macOS mean it.
const settings = `
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA journal_size_limit = 16777216;
`

// Capabilities implements store.Store.
func (s *Store) Capabilities() store.Capabilities {
	return store.Capabilities{
		Name:         "sqlite",
		MultiKey:     true,
		ForeignLease: true,
		EveryChange:  true,
		MaxOps:       512,
		MaxValue:     1 << 20,
		MinTTL:       minTTL,
		PowerLoss:    "nothing that was acknowledged",
	}
}

// Close implements store.Store. The files stay.
func (s *Store) Close() error {
	var errs []error
	s.closing.Do(func() {
		s.mu.Lock() // no feed starts after it
		close(s.done)
		s.mu.Unlock()
		s.running.Wait()
		for _, pool := range s.pools() {
			for range cap(pool) { // waits for those in use
				errs = append(errs, (<-pool).close())
			}
		}
	})
	return s.fail(errors.Join(errs...))
}

// discard undoes a connect that did not come to its end.
func (s *Store) discard() {
	for _, pool := range s.pools() {
		for range len(pool) {
			_ = (<-pool).close()
		}
	}
}
