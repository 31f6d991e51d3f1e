"""Atomic physics: kinematics, oscillator strengths and inelastic cross sections."""
