package operatetest_test

import (
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/operatetest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

func TestOperating(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	defer st.Close()
	if err := operatetest.Run(t.Context(), func() store.Store { return st.Open() }, time.Second); err != nil {
		t.Error(err)
	}
}
