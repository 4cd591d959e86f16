//go:build race

package server

// raceDetector: the tests run under it.
const raceDetector = true
