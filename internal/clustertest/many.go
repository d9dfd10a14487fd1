package clustertest

// manyChecks hold for nodes over a store.
var manyChecks = []check{}
