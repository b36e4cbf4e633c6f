"""Find landforms on Mars in plain words."""

import os

# Torch's threads wait for each other many times in a calculation. By default they do so in a busy
# loop, and on a machine with other work each waits for one that is not running: three sentences
# took 375 ms on two threads instead of 17. Read by OpenMP when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
