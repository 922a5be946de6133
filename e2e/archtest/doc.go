// Package archtest holds the house to its plan: the arrows that must never be drawn between its parts, the size of its files and
// functions, and what its documents claim. It reads sources, it does not build them, so it also judges a tree that is half written.
package archtest
