// What the QUIC engine does when its native package does not load.
process.exit(78);
