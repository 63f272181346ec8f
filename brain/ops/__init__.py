"""Operations: health, checks, service integration."""
