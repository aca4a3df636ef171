#pragma once
// Preloaded into a process (LD_PRELOAD), this takes the place of the C library's file calls, for the program and for the libraries that
// it uses, and writes what they do below one directory into a journal. PowerLossKit reads it and makes states that a power loss may leave.

/// Starts recording calls on files below `root`, which must be an absolute path without a trailing slash. Once per process.
/// 0, or -1 if the journal cannot be made.
int power_loss_record(const char *root, const char *journal);

/// Writes `text` (one line) into the journal, after everything that has returned before.
void power_loss_mark(const char *text);
