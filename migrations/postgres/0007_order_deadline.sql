-- Until when the order behind a guarded payment wants money; null when it has no deadline.
alter table guarded_payment add column order_expires_at timestamptz;
