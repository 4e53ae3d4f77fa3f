"""The default data: exact or leading-logarithm generators and a parametrised detector."""
