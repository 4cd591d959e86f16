// Package audit writes who did what to an instance: logins and those that failed, changes of
// users, rights and definitions, administrative calls, who leads, rows that were voided.
//
// A record is a line of JSON in the file of audit_log.file, with the fields of Tarantool's
// audit module: time, uuid, severity, remote, session_type, module, user, type, tag,
// description; and, where it is of a transaction, term, lsn and outcome.
//
// # Goroutines
//
// [Log.Write] may be called by any. One of the log's own writes the file.
//
// # Invariants
//
//  1. Nobody waits for the file: what finds the queue full, or cannot be written, is
//     counted, and the number is a record as soon as one can be written again.
//  2. A line is whole: what a full disk cuts is taken out before the next one.
//  3. A file is written by one process, and readable by its user alone unless somebody
//     has made it otherwise.
package audit
