"""What the code locations share: settings, days, contracts, snapshots, the hand-off."""
