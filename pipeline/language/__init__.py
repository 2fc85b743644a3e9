"""Language models that a policy's transformer can begin with: texts (`texts/`, a plug-in each),
tokenizer, pretraining, GPT-2's layers.
"""
