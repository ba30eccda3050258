"""What every Voz service needs: settings, the consume loop, the exactly-once sink, outbox, health, logs."""
