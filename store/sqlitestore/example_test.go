package sqlitestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/sqlitestore"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()

	// Every process of the host opens the same file.
	st, err := sqlitestore.Open(ctx, filepath.Join(dir, "tenure.db"), sqlitestore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close() }()

	lease, err := st.Grant(ctx, 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	res, err := st.Commit(ctx, store.Tx{
		If:   []store.Cond{store.Absent("leader")},
		Then: []store.Op{store.Put("leader", []byte("me"), lease.ID)},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("committed:", res.Committed)

	for changes, err := range st.Watch(ctx, "leader", 0) {
		if err != nil {
			log.Fatal(err)
		}
		for _, ev := range changes.Events {
			fmt.Printf("%s is %s\n", ev.Entry.Key, ev.Entry.Value)
		}
		break
	}
	// Output:
	// committed: true
	// leader is me
}
