// Package demo tells the story of a replica set that loses its leader, twice,
// with real processes and a real client, and checks at its end that nothing
// acknowledged was lost.
package demo
