//go:build race

package router

// raceDetector: the tests run under it.
const raceDetector = true
