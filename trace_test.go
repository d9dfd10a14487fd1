package tenure_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/tenure-go/tenure"
)

// Every field of Trace, also one that is added later.
func TestAMultiTraceCallsEachOfItsTracesInOrder(t *testing.T) {
	t.Parallel()
	var called []string
	recording := func(name string) *tenure.Trace {
		var trace tenure.Trace
		v := reflect.ValueOf(&trace).Elem()
		for i := range v.NumField() {
			field := v.Type().Field(i)
			v.Field(i).Set(reflect.MakeFunc(field.Type, func([]reflect.Value) []reflect.Value {
				called = append(called, name+" "+field.Name)
				return nil
			}))
		}
		return &trace
	}
	v := reflect.ValueOf(tenure.MultiTrace(recording("a"), nil, &tenure.Trace{}, recording("b"))).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if v.Field(i).IsNil() {
			t.Errorf("%s is not called", field.Name)
			continue
		}
		called = nil
		var args []reflect.Value
		for in := range field.Type.Ins() {
			args = append(args, reflect.Zero(in))
		}
		v.Field(i).Call(args)
		if want := fmt.Sprintf("[a %[1]s b %[1]s]", field.Name); fmt.Sprint(called) != want {
			t.Errorf("called %v, want %v", called, want)
		}
	}
}
