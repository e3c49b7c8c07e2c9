//! The control plane: a REST API over channels, policies, suspensions, breakers, limits, health and payments.
