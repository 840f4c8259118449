// Package docs holds the documents against the program. It has tests only: each
// code block of each document is run, compiled or recognised, and what the text
// names (files, commands, flags, metrics, tests, identifiers) must exist.
//
// A block that none of this fits, and that notRun does not list with a reason,
// fails. So does an entry of a list here that no document needs any longer.
package docs
