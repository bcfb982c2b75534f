#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lines per floor beside the budget of tools/size.txt, the longest functions, and open design (NEEDSWORK). Fails when a
# floor is over its budget: then cut, or argue for a larger one in the commit that raises it.
awk 'FILENAME == "tools/size.txt" { if ($1 !~ /^#/ && NF) budget[$1] = $2; next }
  FNR == 1 { split(FILENAME, p, "/"); floor = p[1] == "src" ? p[2] : p[1]; files[floor]++ }
  { lines[floor]++ }
  /NEEDSWORK:/ { open++ }
  /^[a-z].*\)$/ { head = $0; sub(/\(.*/, "", head); sub(/.*[ *]/, "", head) }
  /^{/ { start = FNR }
  /^}/ && start { n = FNR - start + 1; if (n > most) { most = n; which = head " in " FILENAME } start = 0 }
  END { printf "%-10s %6s %7s %7s\n", "floor", "files", "lines", "budget"
    for (f in lines) order[++m] = f
    for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (order[j] < order[i]) { t = order[i]; order[i] = order[j]; order[j] = t }
    for (i = 1; i <= m; i++) { f = order[i]; over = (f in budget) && lines[f] > budget[f]; bad += over; all += lines[f]
      printf "%-10s %6d %7d %7s%s\n", f, files[f], lines[f], (f in budget) ? budget[f] : "-", over ? "  over" : "" }
    printf "%-10s %6s %7d\nlongest function: %s, %d lines\nNEEDSWORK: %d\n", "all", "", all, which, most, open
    exit bad > 0 }' tools/size.txt $(find src kernels tests -name '*.[ch]' -o -name '*.def' -o -name '*.cu' -o -name '*.cuh')
