// Package docs runs what the pages of docs/ tell people to type: each block of a page that begins
// with ```sh run, one after the other in one shell, in a directory of its own, with tarragon and
// the programs of examples/ in the PATH. Ports 3301 to 3303 stand for free ones.
package docs
