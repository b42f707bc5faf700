# Draws docs/images/5-deliveries.svg: `gnuplot docs/images/5-deliveries.gp`, in the top folder.
# The figures are medians of three runs of `cargo bench -p stage5-group`. Those of the tutorial's
# server come from the same benchmark with `-- --peer HOST:PORT`: it takes one line at a time.
$figures << EOD
# members  bare writes  threads  polling  tutorial
10         18.1         10.1     12.3     0.10
100        47.2         52.3     49.6     0.13
1000       103.5        91.0     79.5     ?
EOD
set terminal svg size 640,400 font "sans-serif,13" background "white"
set output "docs/images/5-deliveries.svg"
set datafile missing "?"
set logscale xy
set xrange [8:1300]
set yrange [0.05:250]
set xtics ("10" 10, "100" 100, "1,000" 1000)
set ytics ("0.1" 0.1, "1" 1, "10" 10, "100" 100)
set grid ytics linecolor rgb "#dddddd"
set xlabel "members"
set ylabel "million deliveries per second"
set key at graph 0.98, graph 0.42 right
set style data linespoints
plot $figures using 1:2 title "bare writes, 500 lines in flight" linecolor rgb "#888888" lw 2 pt 7, \
     $figures using 1:3 title "threads, 500 lines in flight" linecolor rgb "#1e90ff" lw 2 pt 5, \
     $figures using 1:4 title "polling, 500 lines in flight" linecolor rgb "#e07b00" lw 2 pt 9, \
     $figures using 1:5 title "the tutorial's server, 1 line in flight" linecolor rgb "#c03060" lw 2 pt 13
