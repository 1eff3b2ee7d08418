"""Ends the process, as scripts do."""

import sys

sys.exit("faulty: bye")
