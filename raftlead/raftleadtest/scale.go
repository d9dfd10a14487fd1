package raftleadtest

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/tenure-go/tenure"
)

// ScaleVariable is the environment variable that multiplies all time-outs.
const ScaleVariable = "TENURE_TEST_SCALE"

// Scale is what TENURE_TEST_SCALE says, or 1 if it is not set.
//
// Errors: tenure.ErrInvalid for anything but a number above 0.
func Scale() (float64, error) {
	text := os.Getenv(ScaleVariable)
	if text == "" {
		return 1, nil
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || !(scale > 0) || math.IsInf(scale, 0) {
		return 0, invalid("%s is %q; give a number above 0, or unset it", ScaleVariable, text)
	}
	return scale, nil
}

// scaleOr is the scale of an option, or that of the environment where there is none.
func scaleOr(option float64) (float64, error) {
	switch {
	case option == 0:
		return Scale()
	case !(option > 0) || math.IsInf(option, 0):
		return 0, invalid("Scale is %v; give a number above 0, or none for that of %s", option, ScaleVariable)
	}
	return option, nil
}

// scaled multiplies, and stays within what a Duration can be.
func scaled(d time.Duration, scale float64) time.Duration {
	if f := float64(d) * scale; f < math.MaxInt64 {
		return max(time.Duration(f), 1)
	}
	return math.MaxInt64
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tenure.ErrInvalid, fmt.Errorf(format, args...))
}
