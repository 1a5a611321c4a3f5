"""Prediction: predictors, the model registry, promotion, and the live record."""
