package etcdstore_test

import (
	"context"
	"fmt"
	"log"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// Without a cluster examples are compiled and not run: they have no Output.

func ExampleOpen() {
	ctx := context.Background()
	st, err := etcdstore.Open(ctx, etcdstore.Config{
		Endpoints: []string{"https://etcd-1", "https://etcd-2", "https://etcd-3"},
		Prefix:    "billing/",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	fmt.Println("the shortest TTL is", st.Capabilities().MinTTL)
}

// A program that has a client of its own may share it.
func ExampleNew() {
	ctx := context.Background()
	client, err := clientv3.NewFromURL("https://etcd-1:2379")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	st, err := etcdstore.New(ctx, client, "billing/")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close() }() // before the client
}

// A transaction of the program's own takes effect only while a condition holds.
// That of a term is leadership.Guard().Cond().
func ExampleStore_Compare() {
	ctx := context.Background()
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{"127.0.0.1"}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := clientv3.NewFromURL("127.0.0.1:2379")
	if err != nil {
		log.Fatal(err)
	}
	guard := store.ModifiedAt("leaders/nightly", 42)
	res, err := client.Txn(ctx).If(st.Compare(guard)).Then(clientv3.OpPut("/app/state", "done")).Commit()
	if err == nil && !res.Succeeded {
		fmt.Println("another leads by now")
	}
}
