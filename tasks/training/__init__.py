"""Training: LoRA fine-tuning of causal language models and scoring by label likelihood."""
