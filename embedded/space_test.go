package embedded_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

// A database that is full of history makes room by itself.
func TestAFullDatabaseMakesRoom(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	conf.Quota = 16 << 20
	s := start(t, conf)
	st, err := s.Store(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	value := bytes.Repeat([]byte("x"), 512<<10)
	write := func() error {
		_, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put("data/x", value, store.NoLease)}})
		return err
	}
	// Etcd notices that it is full when it next writes to its disk.
	for err == nil {
		err = write()
	}
	if ctx.Err() != nil {
		t.Fatalf("never full: %v", err)
	}
	t.Logf("full: %v", err)
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for err != nil {
		select {
		case <-retry.C:
			err = write()
		case <-ctx.Done():
			t.Fatalf("no room was made: %v", err)
		}
	}
	lead(t, s)
}
