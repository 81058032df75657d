//! Controllers: pure plans over a snapshot, carried out by one driver.
