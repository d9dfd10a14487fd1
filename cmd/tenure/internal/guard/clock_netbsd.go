package guard

// clockBoot is CLOCK_MONOTONIC, which package unix does not name here.
const clockBoot = 3
