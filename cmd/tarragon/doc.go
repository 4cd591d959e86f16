// Command tarragon is the one binary: the server and the tools around it.
//
// # Invariants
//
//  1. main is the only place that exits, with the codes of exit.go.
//  2. Standard output is for what was asked for, standard error for logs and
//     complaints. A password is shown once, by the serve that made it.
//  3. A command that changes something says what it changed.
//
// Each command is a file; what joins the packages into a node is node.go.
package main
